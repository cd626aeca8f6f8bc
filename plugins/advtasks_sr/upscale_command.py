"""``advtasks upscale``: pictures and folders through a trained network."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Upscale:
    """Enlarge pictures with a trained model. Exit code 0: all done; 1: some failed; 2: usage."""

    pictures: tyro.conf.Positional[tuple[Path, ...]]
    """Files and folders; folders are searched with their sub-folders."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for the results, named NAME_x4.EXT; sub-folders are kept."""
    model: Annotated[Path, tyro.conf.arg(aliases=["-m"])]
    """Run folder or bundle.safetensors."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace results that exist; otherwise those pictures are skipped."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    tile: int | None = None
    """Side of tiles in input pixels; by default chosen from the network's receptive field."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Upscale, prog="advtasks upscale", args=argv)
    if not options.pictures:
        raise UsageError("no pictures given: advtasks upscale PICTURE... -o OUT --model RUN")
    if options.tile is not None and options.tile < 1:
        raise UsageError(f"--tile must be at least 1, got {options.tile}")

    from advtasks.bundle import find_bundle, read_manifest

    manifest = read_manifest(find_bundle(options.model))
    if manifest.verb != "upscale":
        raise UsageError(f"{options.model} is a model for `advtasks {manifest.verb}`, not for upscale")

    from advtasks.devices import choose_device
    from advtasks.inference.batch import Summary, plan, process
    from advtasks.inference.engine import ImageModel

    device = choose_device(options.device)
    jobs = plan(options.pictures, options.out, f"x{manifest.scale}")
    model = ImageModel.load(options.model, device, options.tile)
    summary = Summary()
    for number, job in enumerate(jobs, 1):
        line = process(job, model, summary, overwrite=options.overwrite)
        print(f"[{number}/{len(jobs)}] {line}", file=sys.stderr if line.startswith("failed") else sys.stdout)
    parts = [
        f"{len(summary.written)} written",
        f"{len(summary.skipped)} skipped",
        f"{len(summary.failed)} failed",
    ]
    print(", ".join(parts))
    return 1 if summary.failed else 0
