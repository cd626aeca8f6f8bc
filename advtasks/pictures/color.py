"""Between the colours of a picture's profile and sRGB, in which networks are trained."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advtasks.pictures.picture import Metadata, Picture

_SAME = 1.0 / 255
"""A profile whose colours are sRGB's to one 8-bit level is sRGB."""

_ROWS = 256
"""That are converted at a time."""

Values = NDArray[np.float32]


class ColorSpace:
    """What an ICC profile means for RGB or grey values.

    Conversion is computed in floating point without limits (Little CMS), so colours outside of sRGB's gamut become
    values below 0 or above 1 and find back.

    Args:
        icc: the profile, or None for sRGB.
        channels: 1 (grey) or 3 (RGB).

    Attributes:
        plain: nothing has to be converted.
        problem: why a profile is kept but not converted; empty if it is.
    """

    def __init__(self, icc: bytes | None, channels: int) -> None:
        self.icc, self.channels = icc, channels
        self.plain, self.problem = _judge(icc, channels)

    def to_srgb(self, values: Values) -> Values:
        """(H, W, C) in the profile's encoding, [0, 1], to (H, W, 3) sRGB."""
        return _converted(values, self.icc, None, self.channels, 3)

    def from_srgb(self, values: Values) -> Values:
        """(H, W, 3) sRGB to (H, W, C) in the profile's encoding."""
        return _converted(values, None, self.icc, 3, self.channels)


def grey_as_rgb(grey: NDArray[Any], metadata: Metadata) -> tuple[NDArray[Any], Metadata]:
    """Grey values (H, W, 1) as RGB of the same type, for formats and encoders that know no grey: sRGB, since a profile
    of grey values says nothing of RGB ones."""
    space = ColorSpace(metadata.icc, 1)
    metadata = dataclasses.replace(metadata, icc=None)
    if space.plain:
        return np.repeat(grey, 3, axis=2), metadata
    top = np.iinfo(grey.dtype).max
    values = space.to_srgb((grey / top).astype(np.float32)).clip(0, 1)
    return np.rint(values * top).astype(grey.dtype), metadata


def in_srgb(picture: Picture) -> Picture:
    """A picture with its colours in sRGB, those outside of it at its border, and without its profile: as networks are
    trained, and as inference shows it to them. Itself where nothing has to be converted."""
    channels = picture.pixels.shape[2]
    if picture.metadata.palette or picture.kind.real or channels not in (1, 3):
        return picture
    space = ColorSpace(picture.metadata.icc, channels)
    if space.plain:
        return picture
    pixels, top = np.empty_like(picture.pixels), picture.kind.top
    for first in range(0, len(pixels), _ROWS):  # floating point of a whole picture is large
        rows = picture.pixels[first : first + _ROWS]
        values = space.to_srgb(rows.astype(np.float32) / np.float32(top)).clip(0, 1)
        pixels[first : first + _ROWS] = np.rint(values[..., :channels] * top)  # grey stays grey
    return Picture(pixels, picture.alpha, dataclasses.replace(picture.metadata, icc=None))


@functools.lru_cache(maxsize=32)
def _judge(icc: bytes | None, channels: int) -> tuple[bool, str]:
    """Whether values may stay as they are, and why they must where that is no matter of choice."""
    if icc is None:
        return True, ""
    steps = np.linspace(0, 1, 6, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), -1).reshape(1, -1, channels)
    try:
        there = _converted(grid, icc, None, channels, 3)
        back = _converted(there, None, icc, 3, channels)
    except Exception as error:  # not a profile, of other colours than the picture's, or without a way back
        return True, str(error) or type(error).__name__
    if np.abs(there - grid).max() <= _SAME:
        return True, ""
    if not np.isfinite(back).all() or np.abs(back - grid).max() > 2 * _SAME:
        return True, "it cannot be inverted"
    return False, ""


def _converted(values: Values, source: bytes | None, target: bytes | None, inputs: int, outputs: int) -> Values:
    import imagecodecs

    srgb = imagecodecs.cms_profile("srgb")
    spaces = {1: "gray", 3: "rgb"}
    given = values[..., 0] if inputs == 1 else values
    options: dict[str, Any] = {"colorspace": spaces[inputs], "outcolorspace": spaces[outputs], "outdtype": "float32"}
    result = imagecodecs.cms_transform(np.ascontiguousarray(given), source or srgb, target or srgb, **options)
    return result[..., None] if outputs == 1 else result
