"""``advtasks upscale``: pictures, folders and videos through a network that enlarges."""

from __future__ import annotations

from dataclasses import dataclass
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


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Upscale, prog="advtasks upscale", args=argv)
    options.check()

    from advtasks.inference.engine import ImageModel
    from advtasks.inference.models import open_model

    network, manifest = open_model(options.model)
    if manifest.verb not in ("upscale", "restore"):
        raise UsageError(f"{options.model} is a model for `advtasks {manifest.verb}`, not for upscale")

    def make(device: Any, tile: int | None, **settings: Any) -> ImageModel:
        return ImageModel(network, manifest, device, tile, **settings)

    return run_command(options, make, OutputSize.parse(manifest.scale, options.scale, options.size))
