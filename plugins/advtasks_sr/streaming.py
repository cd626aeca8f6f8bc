"""Training patches of pictures that are decoded when they are needed: data of any size, at the price of decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from advtasks.data.loader import Position
from advtasks.errors import DataError
from advtasks.pictures.decode import read_picture
from advtasks.task import Batch
from advtasks_sr.layouts import Source
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import Pair, cut_patch
from advtasks_sr.targets import TargetCut


class StreamedPatches(Dataset[Batch]):
    """As :class:`advtasks_sr.patches.Patches`, from files. A DataError names one that cannot be used."""

    def __init__(self, sources: Sequence[Source], patch: int, scale: int, channel_shuffle: float) -> None:
        self.sources, self.patch, self.scale, self.channel_shuffle = sources, patch, scale, channel_shuffle

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, position: Position) -> Batch:
        source = self.sources[position.index]
        pair = decoded(source, LowSide(self.scale))
        assert pair.low is not None
        if min(pair.low.shape[:2]) < self.patch:
            side = self.patch * self.scale
            raise DataError(f"{source.high}: smaller than a patch of {side}x{side} pixels")
        rng = np.random.default_rng(position.seed)
        return cut_patch(pair.high, pair.low, self.patch, self.scale, self.channel_shuffle, rng)


class StreamedTargets(Dataset[Batch]):
    """As :class:`advtasks_sr.targets.Targets`, from files. A DataError names one that cannot be used."""

    def __init__(self, sources: Sequence[Source], cut: TargetCut) -> None:
        self.sources, self.cut = sources, cut

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, position: Position) -> Batch:
        path, side = self.sources[position.index].high, self.cut.side
        picture = read_picture(path).rgb8()
        if min(picture.shape[:2]) < side:
            raise DataError(f"{path}: smaller than a patch of {side}x{side} pixels with its margin")
        return self.cut(picture, np.random.default_rng(position.seed))


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
