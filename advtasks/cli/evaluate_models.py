"""The part of ``advtasks evaluate`` for trained models."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from advtasks import components
from advtasks.allocator import keep_freed_memory
from advtasks.atomic import write_text
from advtasks.bundle import find_bundle, load_bundle
from advtasks.cli.evaluate import Evaluate
from advtasks.data.cache import PictureCache
from advtasks.devices import choose_device
from advtasks.errors import UsageError
from advtasks.evaluation.runner import Comparison, evaluate
from advtasks.losses import multi_scale_ssim
from advtasks.plugins import plugins, resolve
from advtasks.reporting.table import result_table
from advtasks.task import Metric
from advtasks.training.progress import Console

_MULTI_SCALE = Metric(
    "ms_ssim", "MS-SSIM", True, "MS-SSIM (Wang et al. 2003) of RGB, five scales where the picture has 176 pixels a side"
)


def evaluate_models(options: Evaluate) -> int:
    """Print the table; gives the exit code."""
    keep_freed_memory()
    console = Console()
    watch = lambda done, count: console.watch("measuring", done, count)  # noqa: E731
    cache = PictureCache(options.cache, watch=console.watch)
    device = choose_device(options.device)
    compared = [Comparison(_MULTI_SCALE, multi_scale_ssim)]
    for text in options.distances:
        distance = components.build("distances", text).to(device)
        name = str(distance.name)
        compared.append(
            Comparison(Metric(name.replace("-", "_"), name.upper(), False, str(distance.protocol)), distance)
        )
    measured: list[dict[str, Any]] = []
    results: dict[str, Any] = {}
    each: dict[str, dict[str, Any]] = {}
    for model in options.models:
        path = find_bundle(model)
        network, manifest = load_bundle(path)
        spec = plugins().find("tasks", manifest.task).spec
        config = dataclasses.replace(next(iter(resolve(spec.presets).values())), **manifest.task_options)
        task = resolve(spec.task)(config).to(device)
        if task.reference is None and options.distances:
            raise UsageError(f"--distances: the outputs of {manifest.task} have no pictures that they should equal")
        comparisons = compared if task.reference else []
        examples, notes = task.examples(options.data, cache)
        for note in notes:
            console.say(note)
        found = evaluate(task, network.to(device), examples, watch, comparisons=comparisons)
        metrics = [dataclasses.asdict(m) for m in (*task.metrics, *(one.metric for one in comparisons))]
        if not measured:
            baseline = evaluate(task, None, examples, comparisons=comparisons) if task.baseline else None
            results = {
                "metrics": metrics,
                "baseline": {"name": task.baseline, "metrics": baseline and baseline.means},
                "validation_pictures": len(examples),
            }
        elif metrics != results["metrics"]:
            raise UsageError(f"{model} is measured in another way than {options.models[0]}: evaluate them one by one")
        name = model.stem if len(options.models) > 1 or path.stem != "bundle" else manifest.stage
        measured.append({"stage": name, "metrics": found.means, "model_sha256": manifest.sha256})
        names = (getattr(example, "name", str(number)) for number, example in enumerate(examples))
        each[name] = {n: item.metrics for n, item in zip(names, found.examples, strict=True)}
    results["stages"] = measured
    print(result_table(results))
    for metric in results["metrics"]:
        print(f"{metric['label']}: {metric['protocol']}")
    if options.json is not None:
        one = next(iter(each.values())) if len(each) == 1 else each
        write_text(
            options.json,
            json.dumps({**results, "model_sha256": measured[0]["model_sha256"], "pictures": one}, indent=2),
        )
    return 0
