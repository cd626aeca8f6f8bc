"""Training patches of pictures that are decoded when they are needed: data of any size, at the price of decoding."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from advtasks.data.loader import Position
from advtasks.errors import DataError
from advtasks.pictures.decode import read_picture
from advtasks.task import Batch
from advtasks_sr.layouts import Source
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import Pair, cut_patch

_log = logging.getLogger(__name__)

ATTEMPTS = 20
"""Pictures that may be unusable one after the other."""


class StreamedPatches(Dataset[Batch]):
    """As :class:`advtasks_sr.patches.Patches`, from files. One that cannot be used is named and another one
    drawn in its place, so a step is still a function of seed and position."""

    def __init__(self, sources: Sequence[Source], patch: int, scale: int, channel_shuffle: float) -> None:
        self.sources, self.patch, self.scale, self.channel_shuffle = sources, patch, scale, channel_shuffle
        self._named: set[str] = set()

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, position: Position) -> Batch:
        for attempt in range(ATTEMPTS):
            jump = int(np.random.default_rng((position.seed, attempt)).integers(len(self.sources))) if attempt else 0
            source = self.sources[(position.index + jump) % len(self.sources)]
            try:
                return self._patch(source, np.random.default_rng(position.seed))
            except DataError as error:
                if str(error) not in self._named:
                    self._named.add(str(error))
                    _log.warning("skipped  %s", error)
        raise DataError(f"{ATTEMPTS} pictures in a row cannot be used, the last one {source.high}: look at the data")

    def _patch(self, source: Source, rng: np.random.Generator) -> Batch:
        pair = decoded(source, LowSide(self.scale))
        assert pair.low is not None
        if min(pair.low.shape[:2]) < self.patch:
            side = self.patch * self.scale
            raise DataError(f"{source.high}: smaller than a patch of {side}x{side} pixels")
        return cut_patch(pair.high, pair.low, self.patch, self.scale, self.channel_shuffle, rng)


def decoded(source: Source, low_side: LowSide) -> Pair:
    """A picture at both resolutions, in memory.

    Raises:
        DataError: a file cannot be read, or is smaller than the scale.
    """
    high, scale = read_picture(source.high).rgb8(), low_side.scale
    if min(high.shape[:2]) < scale:
        raise DataError(f"{source.high}: {high.shape[1]}x{high.shape[0]} pixels, smaller than the scale {scale}")
    low = low_side.of_picture(high) if source.low is None else read_picture(source.low).rgb8()
    height, width = (side * scale for side in low.shape[:2])
    return Pair(str(source.high), "", high[:height, :width], low)


def named(sources: Sequence[Source], folder: Path) -> list[str]:
    """A number for each source out of its place in `folder` and its size, for holding out and for telling whether the
    data changed, without reading the pictures."""
    return [
        hashlib.blake2b(
            f"{source.high.relative_to(folder).as_posix()}/{source.high.stat().st_size}".encode(), digest_size=16
        ).hexdigest()
        for source in sources
    ]
