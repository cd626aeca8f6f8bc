"""Random aligned crops of a picture at both resolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from advtasks.data.cache import Array
from advtasks.data.loader import Position
from advtasks.data.resize import Downscaled
from advtasks.errors import DataError
from advtasks.task import Batch

SYMMETRIES: tuple[Callable[[Array], Array], ...] = (
    lambda picture: picture,
    lambda picture: np.rot90(picture),
    lambda picture: np.rot90(picture, 2),
    lambda picture: np.rot90(picture, 3),
    lambda picture: picture[::-1],
    lambda picture: np.rot90(picture, 2).swapaxes(0, 1),
    lambda picture: picture[:, ::-1],
    lambda picture: picture.swapaxes(0, 1),
)
"""Those of a square, D4, as views. albumentations has them, too; it alone takes a second to import."""


@dataclass(frozen=True)
class Pair:
    """A picture at both resolutions, memory-mapped: (H, W, 3) and (H/scale, W/scale, 3) uint8."""

    name: str
    content: str
    high: Array
    low: Array | None
    """None where it is made out of each training patch."""
    low_content: str = ""
    """Of a low-resolution file; empty where it was made from the high resolution."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the high resolution."""
        height, width = self.high.shape[:2]
        return height, width


def cut_patch(
    high: Array, low: Array | Downscaled, patch: int, scale: int, channel_shuffle: float, rng: np.random.Generator
) -> Batch:
    """A random crop, turned or mirrored in one of eight ways: ``low`` and ``high``, (H, W, 3) uint8.

    A share of them, `channel_shuffle`, also has its colour channels permuted.
    """
    top = int(rng.integers(low.shape[0] - patch + 1))
    left = int(rng.integers(low.shape[1] - patch + 1))
    small = low[top : top + patch, left : left + patch]
    top, left, side = top * scale, left * scale, patch * scale
    high = high[top : top + side, left : left + side]
    small, high = turned((small, high), channel_shuffle, rng)
    return {"low": torch.from_numpy(np.array(small, order="C")), "high": torch.from_numpy(np.array(high, order="C"))}


def turned(pictures: Sequence[Array], channel_shuffle: float, rng: np.random.Generator) -> list[Array]:
    """Pictures (H, W, 3) turned or mirrored in the same one of eight ways; a share, `channel_shuffle`, also has its
    colour channels permuted."""
    symmetry = SYMMETRIES[rng.integers(len(SYMMETRIES))]
    found = [symmetry(picture) for picture in pictures]
    if rng.random() < channel_shuffle:
        order = rng.permutation(3)
        found = [picture[..., order] for picture in found]
    return found


def in_memory(pair: Pair) -> Pair:
    """What is there already."""
    return pair


class Patches(Dataset[Batch]):
    """Crops out of pictures at both resolutions; see :func:`cut_patch`.

    Args:
        pairs: pictures, or what `load` makes them of.
        load: gives the picture of an item; without a low-resolution side, MATLAB's bicubic one is made of each patch.
    """

    def __init__(
        self,
        pairs: Sequence[Any],
        patch: int,
        scale: int,
        channel_shuffle: float = 0.0,
        load: Callable[[Any], Pair] = in_memory,
    ) -> None:
        self.pairs, self.load = pairs, load
        self.patch, self.scale, self.channel_shuffle = patch, scale, channel_shuffle

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: Position) -> Batch:
        pair = self.load(self.pairs[position.index])
        rng = np.random.default_rng(position.seed)
        low = Downscaled(pair.high, self.scale) if pair.low is None else pair.low
        if min(low.shape[:2]) < self.patch:
            side = self.patch * self.scale
            raise DataError(f"{pair.name}: smaller than a patch of {side}x{side} pixels")
        return cut_patch(pair.high, low, self.patch, self.scale, self.channel_shuffle, rng)
