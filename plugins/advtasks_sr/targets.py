"""Training patches of the high resolution alone: their low-resolution side is made on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from advtasks.data.cache import Array
from advtasks.data.loader import Position
from advtasks.errors import DataError
from advtasks.task import Batch
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import Pair, in_memory, turned


@dataclass(frozen=True)
class TargetCut:
    """How a patch is cut out of a picture."""

    side: int
    """Of the patch with the margin that a degradation needs, in high-resolution pixels."""
    random_scale: tuple[float, float]
    """The picture is shrunk by a factor of this range first; by less where a patch would not fit."""
    channel_shuffle: float

    def __call__(self, picture: Array, rng: np.random.Generator) -> Batch:
        """``high``, (side, side, 3) uint8, turned or mirrored in one of eight ways.

        Only what becomes the patch is shrunk (bicubic with antialiasing): away from its borders that equals a cut of
        the shrunken picture.
        """
        smallest, largest = self.random_scale
        factor = rng.uniform(smallest, largest) if smallest < largest else largest
        taken = min(round(self.side / factor), *picture.shape[:2])
        top = int(rng.integers(picture.shape[0] - taken + 1))
        left = int(rng.integers(picture.shape[1] - taken + 1))
        patch = picture[top : top + taken, left : left + taken]
        if taken != self.side:
            patch = _shrunk(patch, self.side)
        (patch,) = turned((patch,), self.channel_shuffle, rng)
        return {"high": torch.from_numpy(np.array(patch, order="C"))}


def _shrunk(patch: Array, side: int) -> Array:
    pixels = torch.from_numpy(np.array(patch)).permute(2, 0, 1)[None].float()
    small = interpolate(pixels, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    found: Array = small[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return found


def target_cut(config: SuperResolutionConfig, low_side: LowSide) -> TargetCut:
    """Training patches with the margin that `low_side` needs."""
    side = (config.patch + 2 * low_side.margin) * config.scale
    return TargetCut(side, config.random_scale, config.channel_shuffle)


class Targets(Dataset[Batch]):
    """Out of pictures; see :class:`TargetCut`.

    Args:
        pairs: pictures, or what `load` makes them of.
        load: gives the picture of an item.
    """

    def __init__(self, pairs: Sequence[Any], cut: TargetCut, load: Callable[[Any], Pair] = in_memory) -> None:
        self.pairs, self.cut, self.load = pairs, cut, load

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: Position) -> Batch:
        pair, side = self.load(self.pairs[position.index]), self.cut.side
        if min(pair.high.shape[:2]) < side:
            raise DataError(f"{pair.name}: smaller than a patch of {side}x{side} pixels with its margin")
        return self.cut(pair.high, np.random.default_rng(position.seed))
