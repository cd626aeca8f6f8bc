"""``advtasks evaluate MODEL... --data DIR``: models against the baseline by their task's protocol, or folders of
generated pictures against real ones."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure models on all pictures of a folder, beside the task's baseline; or, given folders of generated pictures
    of whatever program, how their distribution compares with that of the real ones.

    Scores of folders are stored with all that moves them (--json), and `advtasks compare` refuses to compare what was
    measured in different ways.
    """

    models: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders or bundles of one task, or folders of generated pictures; several are printed side by side."""
    data: Path
    """Folder of pictures, laid out as for training; all of them are measured. For folders: the real pictures."""
    json: Path | None = None
    """Also write all values and the protocol to this file; for several folders, one NAME-FOLDER.json each."""
    backbone: str = "efficientnet-lite0"
    """Of folders: frozen network whose features are compared; scores bear its name."""
    seed: int = 0
    """Of the sub-sets that the Frechet distance is extrapolated from."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    cache: Path | None = None
    """Folder of decoded pictures and features, as in training."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Evaluate, prog="advtasks evaluate", args=argv)
    if not options.models:
        raise UsageError("name at least one model or folder: advtasks evaluate MODEL --data DIR")
    folders = [path.is_dir() and not any((path / n).exists() for n in ("bundle.safetensors", "run.yaml"))
               for path in options.models]  # fmt: skip
    if any(folders) and not all(folders):
        raise UsageError("models and folders of generated pictures are measured in different ways: give one kind")
    return _folders(options) if all(folders) else _models(options)


def _folders(options: Evaluate) -> int:
    from advtasks import components
    from advtasks.data.cache import PictureCache
    from advtasks.devices import choose_device
    from advtasks.evaluation.cards import card_table, check_comparable
    from advtasks.evaluation.distributions import distribution_card
    from advtasks.evaluation.folder_features import folder_features, weights_hash
    from advtasks.training.progress import Console

    console = Console()
    network = components.build("features", options.backbone).to(choose_device(options.device))
    cache = PictureCache(options.cache, watch=console.watch)
    real = folder_features(options.data, network, cache)
    cards = []
    for folder in options.models:
        fake = folder_features(folder, network, cache)
        try:
            card = distribution_card(folder.name, fake, real, network.name, weights_hash(network), options.seed)
        except ValueError as error:
            raise UsageError(f"{folder}: {error}") from None
        cards.append(card)
        if options.json is not None:
            several = len(options.models) > 1
            card.save(options.json.with_stem(f"{options.json.stem}-{folder.name}") if several else options.json)
    check_comparable(cards)
    print(card_table(cards))
    for card in cards:
        for warning in card.warnings:
            print(f"warning: {card.name}: {warning}")
    return 0


def _models(options: Evaluate) -> int:
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
    watch = lambda done, count: console.watch("measuring", done, count)  # noqa: E731
    cache = PictureCache(options.cache, watch=console.watch)
    device = choose_device(options.device)
    measured: list[dict[str, Any]] = []
    results: dict[str, Any] = {}
    each: dict[str, dict[str, Any]] = {}
    for model in options.models:
        path = find_bundle(model)
        network, manifest = load_bundle(path)
        spec = plugins().find("tasks", manifest.task).spec
        config = dataclasses.replace(next(iter(resolve(spec.presets).values())), **manifest.task_options)
        task = resolve(spec.task)(config).to(device)
        examples, notes = task.examples(options.data, cache)
        for note in notes:
            console.say(note)
        found = evaluate(task, network.to(device), examples, watch)
        metrics = [dataclasses.asdict(metric) for metric in task.metrics]
        if not measured:
            baseline = evaluate(task, None, examples) if task.baseline else None
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
