"""A picture at both resolutions, out of its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from advtasks.data.cache import Array
from advtasks.errors import DataError
from advtasks.pictures.decode import read_picture
from advtasks_sr.layouts import Source
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import Pair

Read = Callable[[Path], tuple[str, Array]]
"""Fingerprint and (H, W, 3) pixels of a picture."""


def read_pair(source: Source, scale: int, read: Read) -> Pair:
    """Both sides, cut so that they fit; no low-resolution side where the source has none of its own.

    Raises:
        DataError: a file cannot be read, or is smaller than the scale.
    """
    content, high = read(source.high)
    if min(high.shape[:2]) < scale:
        raise DataError(f"{source.high}: {high.shape[1]}x{high.shape[0]} pixels, smaller than the scale {scale}")
    if source.low is None:
        height, width = (side - side % scale for side in high.shape[:2])
        return Pair(str(source.high), content, high[:height, :width], None)
    low_content, low = read(source.low)
    height, width = (side * scale for side in low.shape[:2])
    return Pair(str(source.high), content, high[:height, :width], low, low_content)


def decoded(source: Source, low_side: LowSide, targets: bool = False) -> Pair:
    """Decoded when it is needed: data of any size, at the price of decoding.

    Args:
        targets: leave the low resolution out, where it is made.

    Raises:
        DataError: see :func:`read_pair`.
    """
    pair = read_pair(source, low_side.scale, lambda path: ("", read_picture(path).rgb8()))
    if pair.low is None and not targets:
        return dataclasses.replace(pair, low=low_side.of_picture(np.asarray(pair.high)))
    return pair
