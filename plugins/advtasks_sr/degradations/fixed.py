"""Validation pictures are degraded once, always in the same way."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

from advtasks.draws import SeededDraws
from advtasks_sr.degradations.pipeline import degrade
from advtasks_sr.degradations.recipe import Recipe


def degrade_rgb8(picture: NDArray[np.uint8], recipe: Recipe, scale: int) -> NDArray[np.uint8]:
    """The low-resolution side (H/scale, W/scale, 3) of a picture (H, W, 3), cropped to a multiple of `scale` first.

    Its draws are seeded by its pixels: the same in every run, at every validation and on every rank, whatever the
    file is called and whichever other pictures there are.
    """
    height, width = (side - side % scale for side in picture.shape[:2])
    pixels = np.ascontiguousarray(picture[:height, :width])
    seed = int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "little") >> 1
    high = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    low = degrade(high, recipe, scale, SeededDraws(seed))
    return np.ascontiguousarray((low[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
