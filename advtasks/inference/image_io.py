"""Writing pictures in the format of their input, where that format can hold them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from advtasks.atomic import atomic_path
from advtasks.data.picture import Picture

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 4},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_deflate"},
}
_AFTER_HEADER = 33  # a PNG's signature and IHDR chunk
_DEEP = {".png", ".tif", ".tiff"}
_TRANSPARENT = {".png", ".webp", ".tif", ".tiff", ".avif"}


_LONGEST = {".webp": 16383, ".jpg": 65535, ".jpeg": 65535, ".avif": 65535}


def output_suffix(suffix: str, picture: Picture, size: tuple[int, int]) -> str:
    """The input's suffix, or ``.png`` where that format cannot hold the picture's depth or transparency, or `size`
    (width and height of the output)."""
    suffix = suffix.lower()
    fits = suffix in _FORMATS and max(size) <= _LONGEST.get(suffix, max(size))
    fits &= picture.pixels.dtype == np.uint8 or suffix in _DEEP
    fits &= picture.alpha is None or suffix in _TRANSPARENT
    return suffix if fits else ".png"


def write_picture(path: Path, picture: Picture) -> None:
    """Encode by the path's suffix with profile and EXIF, atomically."""
    format_ = _FORMATS[path.suffix.lower()]
    with atomic_path(path) as temporary:
        if picture.pixels.dtype == np.uint16 and not (picture.pixels.shape[2] == 1 and picture.alpha is None):
            _write_deep(temporary, path.suffix, picture)
            return
        pixels = picture.pixels
        if picture.alpha is not None:
            pixels = np.concatenate((pixels, picture.alpha[..., None]), axis=2)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        extra = {key: value for key, value in (("icc_profile", picture.icc), ("exif", picture.exif)) if value}
        if format_ == "BMP":
            extra = {}
        image.save(temporary, format=format_, **_OPTIONS.get(format_, {}), **extra)


def _write_deep(temporary: Path, suffix: str, picture: Picture) -> None:
    """16-bit colour, which Pillow cannot write. OpenCV writes neither profile nor EXIF: PNG gets them after."""
    import cv2

    channels = [picture.pixels[..., ::-1] if picture.pixels.shape[2] == 3 else picture.pixels.repeat(3, axis=2)]
    if picture.alpha is not None:
        channels.append(picture.alpha[..., None])
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(np.concatenate(channels, axis=2)))
    if not done:
        raise OSError("OpenCV could not encode the picture")
    data = encoded.tobytes()
    if suffix.lower() == ".png":
        chunks = b""
        if picture.icc:
            chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc))
        if picture.exif:
            chunks += _chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0"))
        data = data[:_AFTER_HEADER] + chunks + data[_AFTER_HEADER:]
    temporary.write_bytes(data)


def _chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk: length, kind, data, CRC (PNG specification, section 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
