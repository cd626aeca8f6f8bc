"""``advtasks sample -o OUT --model RUN``: draw from a generator of points."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from advtasks.errors import UsageError
from advtasks.seeds import parse_seeds


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Draw points from a trained generator: for each seed points-SEED.npy (N, 2) and its picture points-SEED.png."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write to; what is there already is left, and named."""
    model: Path
    """Run folder or bundle."""
    seeds: str = "0"
    """Like 0-7 or 0,3,5-6."""
    count: int = 2500
    """Points for each seed."""
    label: int | None = None
    """Mode to ask for, where the model is conditional; all in turn when not given."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Sample, prog="advtasks sample", args=argv)
    seeds = parse_seeds(options.seeds)
    if options.count < 1:
        raise UsageError(f"--count must be at least 1, got {options.count}")

    import numpy as np
    import torch

    from advtasks.atomic import write_bytes
    from advtasks.bundle import find_bundle, load_bundle
    from advtasks.reporting.pictures import save_picture
    from advtasks_synthesis.mixtures import MIXTURES, scatter

    network, manifest = load_bundle(find_bundle(options.model))
    if manifest.verb != "sample":
        raise UsageError(f"{options.model} was trained for {manifest.task}: use advtasks {manifest.verb}")
    classes = manifest.hyper_parameters["classes"]
    if options.label is not None and not 0 <= options.label < max(classes, 1):
        raise UsageError(f"--label {options.label}: the model knows {classes} modes, from 0")
    mixture = MIXTURES[manifest.task_options["distribution"]]()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        target = options.out / f"points-{seed}.npy"
        if there := [path for path in (target, target.with_suffix(".png")) if path.exists()]:
            print(f"{' and '.join(map(str, there))}: there already; seed {seed} is left as it is")
            continue
        noise = torch.randn(
            options.count, manifest.hyper_parameters["latent"], generator=torch.Generator().manual_seed(seed)
        )
        label = None
        if classes:
            turn = torch.arange(options.count) % classes
            label = turn if options.label is None else torch.full_like(turn, options.label)
        with torch.inference_mode():
            points = network.eval()(noise, label)
        buffer = io.BytesIO()
        np.save(buffer, points.numpy())
        save_picture(target.with_suffix(".png"), scatter(points, mixture))
        write_bytes(target, buffer.getvalue())
        print(f"{target}  {options.count} points, picture beside it")
    return 0
