"""A picture at both resolutions, out of its files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from advtasks.data.cache import Array, PictureCache, decoded
from advtasks.errors import DataError
from advtasks_sr.layouts import Source
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import Pair

Read = Callable[[Path], tuple[str, Array]]
"""Fingerprint and (H, W, 3) pixels of a picture."""


@dataclass(frozen=True)
class Known:
    """A source that has been read; its pixels are read again when they are needed."""

    source: Source
    name: str
    content: str
    low_content: str
    size: tuple[int, int]
    """(H, W) of the high resolution, cut so that both sides fit."""

    @classmethod
    def of(cls, source: Source, pair: Pair) -> Known:
        """What is to be remembered of a source that was read as `pair`."""
        return cls(source, pair.name, pair.content, pair.low_content, pair.size)


class Reader:
    """Reads sources: decoded once where there is a cache, else each time.

    Args:
        low_side: makes it for pictures that have none of their own.
    """

    def __init__(self, low_side: LowSide, cache: PictureCache) -> None:
        self.low_side, self.cache = low_side, cache
        self._recipe = low_side.name

    def target(self, source: Source) -> Pair:
        """Without a low-resolution side where the source has none of its own.

        Raises:
            DataError: see :func:`read_pair`.
        """
        read = self.cache.rgb8 if self.cache.keeps else _decoded
        paired = source.low is not None  # low resolutions are made of stored values, and mostly bear no profile
        return read_pair(source, self.low_side.scale, functools.partial(read, as_stored=paired))

    def pair(self, source: Source) -> Pair:
        """Both sides.

        Raises:
            DataError: see :func:`read_pair`.
        """
        pair = self.target(source)
        if pair.low is not None:
            return pair
        high = np.asarray(pair.high)
        low = self.cache.array(pair.content, self._recipe, lambda: self.low_side.of_picture(high))
        return Pair(pair.name, pair.content, pair.high, low)


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


def _decoded(path: Path, as_stored: bool) -> tuple[str, Array]:
    return "", decoded(path, as_stored)
