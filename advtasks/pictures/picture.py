"""What a picture file holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advtasks.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file says about its pixels."""

    icc: bytes | None = None
    """Colour profile of the pixels."""
    exif: bytes | None = None
    """EXIF (TIFF structure, with or without the ``Exif`` prefix), without orientation."""
    xmp: bytes | None = None
    """XMP packet, without orientation."""
    palette: bytes | None = None
    """RGB values of the colours that grey values are numbers of; PNG keeps it."""
    dpi: tuple[float, float] | None = None
    """Dots per inch, across and down."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: (H, W, C) uint8 or uint16, C = 1 (grey) or 3 (RGB); of measurements float32, and any C.
        alpha: (H, W) of the same type, or None.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    metadata: Metadata = Metadata()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def kind(self) -> Kind:
        """Its size and the type of its pixels."""
        width, height = self.size
        return Kind(
            width,
            height,
            channels=self.pixels.shape[2],
            alpha=self.alpha is not None,
            deep=self.pixels.dtype == np.uint16,
            real=self.pixels.dtype == np.float32,
        )

    def rows(self) -> NDArray[Any]:
        """(H, W, C or C + 1): colour, then opacity."""
        if self.alpha is None:
            return self.pixels
        return np.concatenate((self.pixels, self.alpha[..., None]), axis=2)

    def colors(self) -> NDArray[Any]:
        """(H, W, 3) of its own depth: grey repeated, numbers of a palette as its colours.

        Raises:
            DataError: measurements, or channels that are no colours.
        """
        kind = self.kind
        if kind.real or kind.channels not in (1, 3):
            raise DataError(
                f"{kind.channels} channels of {self.pixels.dtype} are no colours, and only frames of a TIFF hold them"
            )
        if self.metadata.palette and kind.channels == 1:
            palette = np.frombuffer(self.metadata.palette, np.uint8).reshape(-1, 3)
            return palette[self.pixels[..., 0]]
        return np.repeat(self.pixels, 3, axis=2) if kind.channels == 1 else self.pixels

    def flat(self) -> NDArray[Any]:
        """(H, W, C) of its own depth, transparency laid on white."""
        if self.alpha is None:
            return self.pixels
        top = self.kind.top
        opacity = self.alpha[..., None].astype(np.float32) / top
        return np.rint(self.pixels * opacity + top * (1 - opacity)).astype(self.pixels.dtype)

    def in_colour(self) -> bool:
        """Whether it is RGB, and not all of it is grey."""
        return self.pixels.shape[2] == 3 and bool((self.pixels != self.pixels[..., :1]).any())

    def rgb8(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 for training: grey repeated, 16 bit rounded, transparency laid on white."""
        pixels = self.flat()
        if pixels.dtype == np.uint16:
            pixels = np.rint(pixels / 257.0).astype(np.uint8)
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        return np.ascontiguousarray(pixels, dtype=np.uint8)


@dataclass(frozen=True)
class Kind:
    """Size and type of pixels: what an encoder must know before the first row."""

    width: int
    height: int
    channels: int = 3
    """1 (grey) or 3 (RGB), opacity not counted; other numbers, of measurements, are held by TIFF alone."""
    alpha: bool = False
    deep: bool = False
    """16 bit."""
    real: bool = False
    """Floating-point values with a range of their own, held by TIFF alone."""

    @property
    def bands(self) -> int:
        """Values of a pixel, opacity included."""
        return self.channels + self.alpha

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16] | type[np.float32]:
        """Of a value."""
        if self.real:
            return np.float32
        return np.uint16 if self.deep else np.uint8

    @property
    def nbytes(self) -> int:
        """Of all pixels."""
        return self.width * self.height * self.bands * np.dtype(self.dtype).itemsize

    @property
    def top(self) -> int:
        """The largest value."""
        return 65535 if self.deep else 255

    def resized(self, width: int, height: int) -> Kind:
        """The same type at another size."""
        return dataclasses.replace(self, width=width, height=height)


def assembled(kind: Kind, blocks: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """(H, W, bands) of a picture whose rows come in blocks (rows, width, bands), from top to bottom."""
    whole = np.empty((kind.height, kind.width, kind.bands), kind.dtype)
    top = 0
    for block in blocks:
        whole[top : top + len(block)] = block
        top += len(block)
    return whole
