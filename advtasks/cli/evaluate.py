"""``advtasks evaluate MODEL --data DIR``: a model against the baseline, by the task's protocol."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a model on all pictures of a folder, beside the task's baseline."""

    model: tyro.conf.Positional[Path]
    """Run folder or bundle.safetensors."""
    data: Path
    """Folder of pictures, laid out as for training; all of them are measured."""
    json: Path | None = None
    """Also write means, values of each picture and protocol to this file."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    cache: Path | None = None
    """Folder of decoded pictures, as in training."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Evaluate, prog="advtasks evaluate", args=argv)

    from advtasks.allocator import keep_freed_memory
    from advtasks.atomic import write_text
    from advtasks.bundle import find_bundle, load_bundle
    from advtasks.data.cache import PictureCache
    from advtasks.devices import choose_device
    from advtasks.evaluation.runner import evaluate
    from advtasks.plugins import plugins, resolve
    from advtasks.reporting.table import result_table
    from advtasks.training.progress import Console

    keep_freed_memory()

    console = Console()
    path = find_bundle(options.model)
    network, manifest = load_bundle(path)
    spec = plugins().find("tasks", manifest.task).spec
    config = dataclasses.replace(next(iter(resolve(spec.presets).values())), **manifest.task_options)
    device = choose_device(options.device)
    task = resolve(spec.task)(config).to(device)
    examples, notes = task.examples(options.data, PictureCache(options.cache, watch=console.watch))
    for note in notes:
        console.say(note)
    watch = lambda done, count: console.watch("measuring", done, count)  # noqa: E731
    found = evaluate(task, network.to(device), examples, watch)
    baseline = evaluate(task, None, examples) if task.baseline else None
    results = {
        "metrics": [dataclasses.asdict(metric) for metric in task.metrics],
        "baseline": {"name": task.baseline, "metrics": baseline and baseline.means},
        "stages": [{"stage": path.stem if path.stem != "bundle" else manifest.stage, "metrics": found.means}],
        "validation_pictures": len(examples),
    }
    print(result_table(results))
    for metric in task.metrics:
        print(f"{metric.label}: {metric.protocol}")
    if options.json is not None:
        names = (getattr(example, "name", str(number)) for number, example in enumerate(examples))
        each = {name: item.metrics for name, item in zip(names, found.examples, strict=True)}
        write_text(options.json, json.dumps({**results, "model_sha256": manifest.sha256, "pictures": each}, indent=2))
    return 0
