"""``advtasks upscale``: pictures, folders and videos through a network that enlarges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from advtasks.errors import UsageError
from advtasks.inference.command import run_command
from advtasks.inference.options import PictureOptions
from advtasks.inference.sizes import OutputSize


@dataclass(frozen=True, kw_only=True)
class Upscale(PictureOptions):
    """Enlarge pictures with a trained model; results are named NAME_x4.EXT. Exit code 0: all done; 1: some failed; 2:
    usage."""

    scale: float | None = None
    """Another factor than the model's (3.2): resized at the end, antialiased."""
    size: str | None = None
    """Size of the results in pixels: 3840x, x2160, or 3840x2160 to fit into."""
    blend: float | None = None
    """Mix the weights of a run's first stage (0: pixel, faithful) and its last (1: adversarial, sharp)."""
    blend_with: Path | None = None
    """Another bundle of the same network to mix with, instead of the run's first stage."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Upscale, prog="advtasks upscale", args=argv)
    options.check()

    from advtasks.inference.engine import ImageModel

    network, manifest = _opened(options)
    if manifest.verb not in ("upscale", "restore"):
        raise UsageError(f"{options.model} is a model for `advtasks {manifest.verb}`, not for upscale")

    def make(device: Any, tile: int | None, **settings: Any) -> ImageModel:
        return ImageModel(network, manifest, device, tile, **settings)

    return run_command(options, make, OutputSize.parse(manifest.scale, options.scale, options.size))


def _opened(options: Upscale) -> tuple[Any, Any]:
    """The model, or the mixture that was asked for.

    Raises:
        UsageError: a share outside of [0, 1], or nothing to mix with.
    """
    from advtasks.inference.models import open_model

    if options.blend is None:
        if options.blend_with is not None:
            raise UsageError("--blend-with needs --blend SHARE, the share of --model from 0 to 1")
        return open_model(options.model)

    from advtasks.blend import blend
    from advtasks.bundle import find_bundle, read_manifest

    if not 0 <= options.blend <= 1:
        raise UsageError(f"--blend is a share from 0 to 1, got {options.blend:g}")
    last = find_bundle(options.model)
    first = options.blend_with
    if first is None:
        stages = sorted(options.model.glob("stages/*.safetensors"), key=lambda path: read_manifest(path).steps)
        if len(stages) < 2:
            raise UsageError(
                f"--blend mixes a run's stages, and {options.model} is not a run with two: give the run folder, or "
                "the other bundle with --blend-with"
            )
        first = stages[0]
    return blend(first, last, options.blend)
