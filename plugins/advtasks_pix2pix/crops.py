"""Random crops of both sides of a pair, aligned to the pixel."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from advtasks.data.loader import Position
from advtasks.task import Batch

# albumentations asks the network for updates when it is imported, unless told not to
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
from albumentations.augmentations.geometric.functional import hflip, resize

Values = NDArray[Any]


@dataclass(frozen=True)
class Loaded:
    """A pair whose values are there: (H, W, C), or class numbers (H, W). No input where that is made on the device."""

    name: str
    content: str
    input: Values | None
    target: Values


def fitted(values: Values, side: int, labels: bool, only_enlarge: bool = False) -> Values:
    """With a shorter side of `side` pixels, the proportions kept: averaged where it shrinks, cubic where it grows;
    label maps by their nearest value, so that no value comes out that was not there."""
    height, width = values.shape[:2]
    if min(height, width) == side or (only_enlarge and min(height, width) > side):
        return values
    factor = side / min(height, width)
    target = (max(round(height * factor), side), max(round(width * factor), side))
    how = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    found = resize(values, target, how)
    return found if found.ndim == values.ndim else found[..., None]


def padded(values: Values, least: int) -> Values:
    """With sides of at least `least` pixels, mirrored at the right and the lower edge."""
    missing = [(0, max(least - side, 0)) for side in values.shape[:2]]
    if not any(more for _, more in missing):
        return values
    return np.pad(values, [*missing, *[(0, 0)] * (values.ndim - 2)], mode="reflect")


class Crops(Dataset[Batch]):
    """Crops of `crop` x `crop` pixels, half of them mirrored. What is drawn depends on the position alone.

    Args:
        pairs: what to take them from.
        load: gives a pair's values, each side at least `crop` pixels.
    """

    def __init__(self, pairs: Sequence[Any], load: Callable[[Any], Loaded], crop: int, flip: bool) -> None:
        self.pairs, self.load, self.crop, self.flip = pairs, load, crop, flip

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: Position) -> Batch:
        pair = self.load(self.pairs[position.index])
        rng = np.random.default_rng(position.seed)
        top, left = (int(rng.integers(side - self.crop + 1)) for side in pair.target.shape[:2])
        mirrored = self.flip and rng.random() < 0.5
        rows, columns = slice(top, top + self.crop), slice(left, left + self.crop)
        sides = {"target": pair.target} if pair.input is None else {"input": pair.input, "target": pair.target}
        item = {}
        for name, values in sides.items():
            part = values[rows, columns]
            item[name] = torch.from_numpy(np.array(hflip(part) if mirrored else part))
        return item
