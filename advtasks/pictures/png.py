"""PNG row by row, at 8 and 16 bit, with profile, EXIF, XMP and density (PNG specification, third edition).

Pillow writes neither 16-bit colour nor a picture that is not there as a whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from advtasks.pictures.picture import Kind, Metadata

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}
_PALETTE = 3
_LEVEL = 4
"""Of deflate. The network takes many times as long, on the same cores."""
_INCH = 0.0254
_ROWS = 64
"""Filtered and compressed at a time."""


def write_png(path: Path, kind: Kind, metadata: Metadata, blocks: Iterable[NDArray[Any]]) -> None:
    """Write `blocks`, (rows, width, bands) arrays of the kind's type, top to bottom."""
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        depth = 16 if kind.deep else 8
        color = _PALETTE if metadata.palette else _COLOR_TYPES[kind.channels, kind.alpha]
        _chunk(file, b"IHDR", struct.pack(">IIBBBBB", kind.width, kind.height, depth, color, 0, 0, 0))
        _describe(file, metadata)
        packer = zlib.compressobj(_LEVEL)
        bytes_a_pixel = kind.bands * depth // 8
        above = np.zeros(kind.width * bytes_a_pixel, np.uint8)
        for block in blocks:
            raw = np.ascontiguousarray(block, dtype=">u2" if kind.deep else np.uint8)
            raw = raw.reshape(len(block), -1).view(np.uint8)
            for top in range(0, len(raw), _ROWS):
                part = raw[top : top + _ROWS]
                if packed := packer.compress(_filtered(part, above, bytes_a_pixel)):
                    _chunk(file, b"IDAT", packed)
                above = part[-1].copy()
        _chunk(file, b"IDAT", packer.flush())
        _chunk(file, b"IEND", b"")


def _describe(file: BinaryIO, metadata: Metadata) -> None:
    if metadata.icc:
        _chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    if metadata.palette:
        _chunk(file, b"PLTE", metadata.palette)
    if metadata.dpi:
        across, down = (round(value / _INCH) for value in metadata.dpi)
        _chunk(file, b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        _chunk(file, b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        _chunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    """Length, kind, data, CRC (section 5.3)."""
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _filtered(raw: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> bytes:
    """The rows under the filter whose bytes are smallest in sum (section 12.7) on every eighth of them, its number in
    front of each.

    Args:
        raw: (rows, bytes).
        above: the row before the first.
        step: bytes to the same value of the pixel to the left.
    """
    up = np.concatenate((above[None], raw[:-1]))
    best = min(_PREDICTORS, key=lambda number: _size(raw[::8] - _PREDICTORS[number](raw[::8], up[::8], step)))
    result = np.empty((len(raw), raw.shape[1] + 1), np.uint8)
    result[:, 0] = best
    np.subtract(raw, _PREDICTORS[best](raw, up, step), out=result[:, 1:])
    return result.tobytes()


def _size(rest: NDArray[np.uint8]) -> int:
    return int(np.minimum(rest, 0 - rest).sum(dtype=np.int64))  # of the byte as a signed one


def _left(rows: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    result = np.zeros_like(rows)
    result[:, step:] = rows[:, :-step]
    return result


def _average(raw: NDArray[np.uint8], up: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    left = _left(raw, step)
    return (left & up) + ((left ^ up) >> 1)  # half of the sum, without more than 8 bits


def _paeth(raw: NDArray[np.uint8], up: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Whichever of the three neighbours is nearest to left + up - corner (section 9.4)."""
    left, corner = _left(raw, step), _left(up, step)
    across, down = up.astype(np.int16) - corner, left.astype(np.int16) - corner
    to_left, to_up, to_corner = np.abs(across), np.abs(down), np.abs(across + down)
    nearest_left = (to_left <= to_up) & (to_left <= to_corner)
    return np.where(nearest_left, left, np.where(to_up <= to_corner, up, corner))


_PREDICTORS: dict[int, Callable[[NDArray[np.uint8], NDArray[np.uint8], int], NDArray[np.uint8]]] = {
    1: lambda raw, up, step: _left(raw, step),
    2: lambda raw, up, step: up,
    3: _average,
    4: _paeth,
}
"""By the number of the filter (section 9.2)."""
