"""Pictures of 16 bits a value, which Pillow reads as 8 bit or not at all; and what their headers say of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advtasks.errors import DataError

_BITS, _PHOTOMETRIC, _SAMPLES, _EXTRA, _FORMAT = 258, 262, 277, 338, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = range(3)
_PREMULTIPLIED = 1
_FORMATS = {1: "", 2: "signed ", 3: "floating-point "}


@dataclass(frozen=True)
class Deep:
    """A picture of more than 8 bits a value, as its header has it."""

    bits: int
    channels: int
    """1 or 3."""
    alpha: bool
    premultiplied: bool = False


def deep_png(path: Path) -> Deep | None:
    """What a PNG's header says; None at up to 8 bits. Opacity by a transparent colour is not counted."""
    bits, color = png_header(path)
    return Deep(bits, 1 if color in (0, 4) else 3, color in (4, 6)) if bits == 16 else None


def png_header(path: Path) -> tuple[int, int]:
    """Bits a value, and the type of colour (0 grey, 2 RGB, 3 palette, 4 grey with opacity, 6 RGB with opacity)."""
    with path.open("rb") as file:
        bits, color = file.read(26)[24:26]
    return bits, color


def deep_tiff(image: Image.Image) -> Deep | None:
    """What the tags of a TIFF's current page say; None at up to 8 bits, and of what Pillow converts itself.

    Raises:
        DataError: values that do not fit into 16 bits.
    """
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS) or (1,))
    photometric = tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO)
    kind = _FORMATS.get(max(tags.get(_FORMAT) or (1,)), "unknown ")
    if bits > 8 and (bits > 16 or kind):
        raise DataError(f"values of {bits} {kind}bits are not supported; save it with 8 or 16 bit")
    if bits <= 8 or photometric > _RGB:
        return None
    channels = 3 if photometric == _RGB else 1
    more = tags.get(_SAMPLES, 1) - channels
    extra = tags.get(_EXTRA) or ((2,) * more)  # some programs do not say what the fourth value is
    alpha = more > 0 and extra[0] in (1, 2)
    return Deep(bits, channels, alpha, alpha and extra[0] == _PREMULTIPLIED)


def read_deep_png(path: Path, transparent: Any = None) -> NDArray[np.uint16]:
    """(H, W, bands).

    Args:
        transparent: the colour that is (16-bit numbers), as Pillow gives it; becomes opacity.
    """
    import imagecodecs

    data = imagecodecs.png_decode(path.read_bytes())
    data = data.reshape(*data.shape[:2], -1)
    if transparent is None or data.shape[2] in (2, 4):  # the decoder may have seen to it
        return data
    return with_key(data, transparent)


def with_key(data: NDArray[Any], color: Any) -> NDArray[Any]:
    """(H, W, bands + 1): opacity 0 where all bands have the values of `color`, full elsewhere."""
    shown = (data != np.asarray(color, data.dtype)).any(axis=2, keepdims=True)
    return np.concatenate((data, np.where(shown, np.iinfo(data.dtype).max, 0).astype(data.dtype)), axis=2)


def read_deep_tiff(path: Path, number: int, deep: Deep) -> NDArray[np.uint16]:
    """(H, W, bands) of a page: the whole range of 16 bits, black is 0, colour not multiplied by opacity."""
    import tifffile

    with path.open("rb") as stream, tifffile.TiffFile(stream) as file:
        page: Any = file.pages[number]
        data = page.asarray()
        if page.planarconfig == 2 and data.ndim == 3:  # a plane for each colour
            data = np.moveaxis(data, 0, -1)
        data = data.reshape(*data.shape[:2], -1)[..., : deep.channels + deep.alpha]
        if deep.bits < 16:
            data = np.rint(data * (65535 / (2**deep.bits - 1)))
        data = data.astype(np.uint16)
        if page.photometric == _WHITE_IS_ZERO:
            data[..., 0] = 65535 - data[..., 0]
    return _straight(data) if deep.premultiplied else data


def _straight(data: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Colour that was multiplied by opacity, as it was before."""
    color, alpha = data[..., :-1].astype(np.float64), data[..., -1:].astype(np.float64)
    color = np.rint(np.divide(color * 65535, alpha, out=np.zeros_like(color), where=alpha > 0)).clip(0, 65535)
    return np.concatenate((color.astype(np.uint16), data[..., -1:]), axis=2)


def exif_chunk(file: BinaryIO) -> bytes | None:
    """The EXIF of a PNG, wherever in the file; pixels are passed over, and the file is left where it was."""
    before = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"eXIf":
                return file.read(length)
            file.seek(length + 4, 1)
        return None
    finally:
        file.seek(before)
