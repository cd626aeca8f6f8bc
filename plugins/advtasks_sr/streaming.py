"""Pictures that are decoded when they are needed: data of any size, at the price of decoding."""

from __future__ import annotations

from advtasks.errors import DataError
from advtasks.pictures.decode import read_picture
from advtasks_sr.layouts import Source
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import Pair


def decoded(source: Source, low_side: LowSide, targets: bool = False) -> Pair:
    """A picture at both resolutions, in memory.

    Args:
        targets: leave the low resolution out, where it is made.

    Raises:
        DataError: a file cannot be read, or is smaller than the scale.
    """
    high, scale = read_picture(source.high).rgb8(), low_side.scale
    if min(high.shape[:2]) < scale:
        raise DataError(f"{source.high}: {high.shape[1]}x{high.shape[0]} pixels, smaller than the scale {scale}")
    if targets and source.low is None:
        height, width = (side - side % scale for side in high.shape[:2])
        return Pair(str(source.high), "", high[:height, :width], None)
    low = low_side.of_picture(high) if source.low is None else read_picture(source.low).rgb8()
    height, width = (side * scale for side in low.shape[:2])
    return Pair(str(source.high), "", high[:height, :width], low)
