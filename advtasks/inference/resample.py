"""Antialiased resizing of a picture that comes in bands: the final step where the size wanted is not the network's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_SUPPORT = 3.0
"""Of Lanczos' filter, in pixels of the coarser side."""
_ROWS = 64


def resampled(bands: Iterable[Tensor], size: tuple[int, int], target: tuple[int, int]) -> Iterator[Tensor]:
    """Bands (N, C, rows, width) of a picture at another size, as resizing the whole would give them.

    Lanczos, widened to the coarser grid where the picture becomes smaller (Pillow's), in float32, not clamped.

    Args:
        size: width and height of the picture.
        target: width and height wanted.
    """
    (width, height), (new_width, new_height) = size, target
    if size == target:
        yield from bands
        return
    ratio = height / new_height
    reach = math.ceil(_SUPPORT * max(ratio, 1.0)) + 1
    waiting: Tensor | None = None
    first = done = 0  # the row that `waiting` begins with; output rows that are finished
    for band in bands:
        waiting = band if waiting is None else torch.cat((waiting, band), dim=2)
        known = first + waiting.shape[2]
        while done < new_height:
            end = min(done + _ROWS, new_height)
            if known < height and known < math.ceil(end * ratio) + reach:
                break
            box = (0.0, done * ratio - first, float(width), end * ratio - first)
            yield _resized(waiting, (new_width, end - done), box)
            done = end
        needed = max(math.floor(done * ratio) - reach, first)
        waiting, first = waiting[:, :, needed - first :], needed


def _resized(part: Tensor, size: tuple[int, int], box: tuple[float, float, float, float]) -> Tensor:
    box = (box[0], box[1], box[2], min(box[3], float(part.shape[2])))
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS, box))
        for plane in part.flatten(0, 1).contiguous().numpy()
    ]
    return torch.from_numpy(np.stack(planes)).unflatten(0, part.shape[:2])
