"""``advtasks translate``: pictures, folders and videos through a network from picture to picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import tyro

from advtasks.errors import UsageError
from advtasks.inference.command import run_command
from advtasks.inference.options import PictureOptions
from advtasks.inference.sizes import OutputSize
from advtasks_pix2pix.config import Maker

if TYPE_CHECKING:
    from torch import nn

    from advtasks_pix2pix.translator import Translator


_LARGEST = 2**63
"""Seeds are below it."""


@dataclass(frozen=True, kw_only=True)
class Translate(PictureOptions):
    """Translate pictures with a trained model; results are named NAME_translated.EXT and have the size of their input.
    Exit code 0: all done; 1: some failed; 2: usage."""

    make_input: tyro.conf.FlagCreatePairsOff[bool] = False
    """Make the input from each picture first, as in training (edges, grey, ...)."""
    samples: int = 1
    """Outputs for each input, of a model that was trained with --noise or has dropout at test time; results are named
    NAME_translated-SEED.EXT."""
    seed: int = 0
    """Of the first of them."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    for flag, value in itertools.pairwise(argv):
        if flag == "--make-input" and value in get_args(Maker) and not Path(value).exists():
            raise UsageError(f"--make-input takes no {value!r}: the model knows how its inputs were made")
    options = tyro.cli(Translate, prog="advtasks translate", args=argv)
    options.check()
    if options.samples < 1:
        raise UsageError(f"--samples must be at least 1, got {options.samples}")

    if not 0 <= options.seed <= _LARGEST - options.samples:
        raise UsageError(f"--seed is 0 to {_LARGEST - options.samples}, got {options.seed}")

    from advtasks.inference.models import open_model
    from advtasks_pix2pix.translator import Translator

    network, manifest = open_model(options.model)
    if manifest.verb not in ("translate", "restore"):
        raise UsageError(f"{options.model} is a model for `advtasks {manifest.verb}`, not for translate")
    several = _gives_several(network)
    if (options.samples > 1 or options.seed) and not several:
        given = f"--samples {options.samples}" if options.samples > 1 else f"--seed {options.seed}"
        raise UsageError(
            f"{given}: {options.model} gives one output for an input. Train with --noise 8, or "
            "with dropout that stays on (the preset paper; a U-Net has dropout from six levels on)"
        )

    def variant(label: str, seed: int | None) -> tuple[Callable[..., Translator], OutputSize]:
        def make(device: Any, tile: int | None, **settings: Any) -> Translator:
            return Translator(network, manifest, device, tile, make_input=options.make_input, seed=seed, **settings)

        return make, OutputSize(1, name=label)

    if options.samples == 1:
        return run_command(options, *variant("translated", options.seed if several else None))
    seeds = range(options.seed, options.seed + options.samples)
    first, *others = (variant(f"translated-{seed}", seed) for seed in seeds)
    return run_command(options, *first, *others)


def _gives_several(network: nn.Module) -> bool:
    """Whether an input has several outputs: by noise, or by dropout that stays on, in layers that are there."""
    return bool(getattr(network, "noise_channels", 0)) or bool(getattr(network, "is_random", False))
