"""The part of ``advtasks evaluate`` for trained models."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from advtasks import components
from advtasks.allocator import keep_freed_memory
from advtasks.atomic import write_text
from advtasks.bundle import Manifest, find_bundle, load_bundle, read_manifest
from advtasks.cli.evaluate_names import distinct_names
from advtasks.cli.evaluate_options import Evaluate
from advtasks.config_files import read_yaml
from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures, fingerprint
from advtasks.data.listing import few
from advtasks.devices import use_device
from advtasks.distributed import rank
from advtasks.errors import AdvtasksError, BundleError, DataError, UsageError
from advtasks.evaluation.cards import Score, ScoreCard, set_hash
from advtasks.evaluation.folder_features import stored_format
from advtasks.evaluation.intervals import mean_interval
from advtasks.evaluation.runner import Comparison, Evaluation, evaluate
from advtasks.features import FeatureNetwork
from advtasks.features.weight_files import recipe_hash, weights_hash
from advtasks.finite import finite
from advtasks.losses import multi_scale_ssim
from advtasks.plugins import plugins, resolve
from advtasks.process_group import first_alone_then_all, from_first, joined
from advtasks.reporting.table import result_table
from advtasks.task import Metric, Task
from advtasks.training.progress import Console, silent

_MULTI_SCALE = Metric(
    "ms_ssim", "MS-SSIM", True, "MS-SSIM (Wang et al. 2003) of RGB, five scales where the picture has 176 pixels a side"
)


def evaluate_models(options: Evaluate) -> int:
    """Print the table; gives the exit code."""
    keep_freed_memory()
    with joined(options.device, timeout=600):
        first = rank() == 0
        results, cards = _measured(options, Console(None if first else silent()))
    if not first:
        return 0
    print(result_table(results, "example"))
    for metric in results["metrics"]:
        print(f"{metric['label']}: {metric['protocol']}")
    for card in cards:
        scores = ", ".join(f"{score.label} {score.text}" for score in card.scores if score.low is not None)
        if scores:
            print(f"{card.name}, with the interval of 95 % of the mean: {scores}")
    if options.json is not None:
        found = {**results, "cards": [card.as_json() for card in cards]}
        write_text(options.json, json.dumps(finite(found), indent=2, allow_nan=False) + "\n")
    return 0


def _measured(options: Evaluate, console: Console) -> tuple[dict[str, Any], list[ScoreCard]]:
    """What goes into the file, and a card for each model."""
    watch = lambda done, count: console.watch("measuring", done, count)  # noqa: E731
    cache = PictureCache(options.cache, options.cache_gib, console.watch)
    device = use_device(options.device)
    compared = _comparisons(options.distances, device)
    data = from_first(lambda: _data(options.data))
    results: dict[str, Any] = {}
    cards: list[ScoreCard] = []
    each: dict[str, dict[str, Any]] = {}
    paths = [find_bundle(model) for model in options.models]
    _check_comparable(options.models, paths)
    for model, path, distinct in zip(options.models, paths, _names(options.models), strict=True):
        if _trained_on(path, options.data):
            told = "other pictures tell how good it is, unless the folder divides them itself"
            console.say(f"warning: {model} was trained on {options.data}; {told}")
        network, manifest = load_bundle(path)
        task = _task_of(path, manifest).to(device)
        if task.reference is None and options.distances:
            raise UsageError(f"--distances: the outputs of {manifest.task} have no pictures that they should equal")
        comparisons = compared if task.reference else []
        examples, notes = first_alone_then_all(lambda task=task: task.examples(options.data, cache))  # type: ignore[misc]
        for note in notes:
            console.say(note)
        found = evaluate(task, network.to(device), examples, watch, comparisons=comparisons, patient=True)
        metrics = [dataclasses.asdict(m) for m in (*task.metrics, *(one.metric for one in comparisons))]
        if not results:
            baseline = evaluate(task, None, examples, comparisons=comparisons, patient=True) if task.baseline else None
            results = {
                "metrics": metrics,
                "baseline": {"name": task.baseline, "metrics": baseline and baseline.means},
                "validation_pictures": len(examples),
                "stages": [],
                "model_sha256": manifest.sha256,
            }
        elif metrics != (known := results["metrics"]):
            apart = {metric["name"] for metric in (*metrics, *known) if metric not in metrics or metric not in known}
            text = f"{model} is measured in another way than {options.models[0]} ({few(sorted(apart))})"
            raise UsageError(f"{text}: evaluate them one by one")
        name = distinct if len(options.models) > 1 or path.stem != "bundle" else manifest.stage
        results["stages"].append({"stage": name, "metrics": found.means, "model_sha256": manifest.sha256})
        protocol = {
            "task": manifest.task,
            "examples": len(examples),
            **data,
            **_networks(task),
            "baseline": _of(results),
        }
        cards.append(_card(name, found, metrics, comparisons, protocol))
        names = (getattr(example, "name", str(number)) for number, example in enumerate(examples))
        each[name] = {n: item.metrics for n, item in zip(names, found.examples, strict=True)}
    results["pictures"] = next(iter(each.values())) if len(each) == 1 else each
    return results, cards


def _task_of(path: Path, manifest: Manifest) -> Task:
    """As it trained the bundle at `path`.

    Raises:
        BundleError: its plugin is older than the bundle.
    """
    spec = plugins().find("tasks", manifest.task).spec
    try:
        config = dataclasses.replace(next(iter(resolve(spec.presets).values())), **manifest.task_options)
    except TypeError as error:
        way = f"pip install -U {manifest.plugin}"
        raise BundleError(f"{path}: made by a newer {manifest.plugin} ({error}): {way}") from None
    task: Task = resolve(spec.task)(config)
    return task


def _check_comparable(models: Sequence[Path], paths: Sequence[Path]) -> None:
    """Before anything is measured.

    Raises:
        UsageError: they are models of several tasks.
    """
    tasks = [read_manifest(path).task for path in paths]
    for model, task in zip(models, tasks, strict=True):
        if task != tasks[0]:
            raise UsageError(f"{models[0]} is a model of {tasks[0]} and {model} of {task}: evaluate them one by one")


def _trained_on(bundle: Path, folder: Path) -> bool:
    """Whether the run beside the bundle, if one is there, had this folder as its data."""
    try:
        data = read_yaml(bundle.parent / "run.yaml").get("data")
    except (AdvtasksError, OSError):
        return False
    return data is not None and Path(str(data)).resolve() == folder.resolve()


def _names(models: Sequence[Path]) -> list[str]:
    """Without the endings of files, where that leaves them different."""
    short = [model.with_suffix("") if model.is_file() else model for model in models]
    return distinct_names(short if len(set(short)) == len(set(models)) else models)


def _comparisons(distances: Sequence[str], device: torch.device) -> list[Comparison]:
    """Measures that tasks do not take themselves."""
    found = [Comparison(_MULTI_SCALE, multi_scale_ssim)]
    for text in distances:
        distance = components.build("distances", text).to(device)
        name = str(distance.name)
        metric = Metric(name.replace("-", "_"), name.upper(), False, str(distance.protocol))
        found.append(Comparison(metric, distance))
    return found


def _data(folder: Path) -> dict[str, Any]:
    """What is known of the pictures, and of texts beside them."""
    files = find_pictures(folder)
    texts = [path for path in files.others if path.suffix.lower() in (".txt", ".csv", ".tsv", ".json", ".jsonl")]
    formats: set[str] = set()
    for path in files.pictures:
        with contextlib.suppress(DataError, OSError):  # the task says which it passes over
            formats.add(stored_format(path))
    contents = []
    for path in (*files.pictures, *texts):
        with contextlib.suppress(DataError):
            contents.append(fingerprint(path))
    return {
        "data": f"a folder of {len(files.pictures)} pictures, sha256 {set_hash(contents)}",
        "formats": ", ".join(sorted(formats)),
    }


def _networks(task: Task) -> dict[str, Any]:
    """Frozen networks that the task measures with."""
    found = {net.name: recipe_hash(net) for net in task.modules() if isinstance(net, FeatureNetwork)}
    return {"networks": ", ".join(f"{name}, sha256 {text}" for name, text in sorted(found.items()))} if found else {}


def _of(results: dict[str, Any]) -> str:
    """What the baseline scores, to three digits: it tells other scales and degradations of the same pictures."""
    found = results["baseline"]["metrics"]
    if not found:
        return "none"
    return ", ".join(f"{name} {value:.3g}" for name, value in found.items())


def _card(
    name: str,
    found: Evaluation,
    metrics: Sequence[dict[str, Any]],
    compared: Sequence[Comparison],
    protocol: dict[str, Any],
) -> ScoreCard:
    """With the intervals of means over examples, where there are several."""
    weights = {
        one.metric.name: f", weights sha256 {weights_hash(one.measure)}"
        for one in compared
        if isinstance(one.measure, torch.nn.Module)
    }
    scores = []
    for metric in metrics:
        values = torch.tensor([float(example.metrics[metric["name"]]) for example in found.examples])
        unit = f" ({metric['unit']})" if metric["unit"] else ""
        score = Score.of(metric["name"], metric["label"] + unit, mean_interval(values), metric["higher_is_better"])
        scores.append(
            dataclasses.replace(
                score,
                value=float(found.means[metric["name"]]),
                protocol=metric["protocol"] + weights.get(metric["name"], ""),
            )
        )
    return ScoreCard(name, protocol, tuple(scores))
