"""EXIF, XMP, profile and density of a file, kept true for upright pixels of another size."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from PIL import Image, TiffTags

from advtasks.pictures.picture import Metadata

_ORIENTATION = 0x0112
_EXIF_FOLDER, _GPS_FOLDER, _PIXELS_ACROSS, _PIXELS_DOWN = 0x8769, 0x8825, 0xA002, 0xA003
_TIFF_ACROSS, _TIFF_DOWN = 0x0100, 0x0101
_LAYOUT = (0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D, 0x0142, 0x0143, 0x0144, 0x0145,
           0x0152, 0x0153, 0x02BC, 0x8773)  # fmt: skip
"""Tags of a TIFF that describe how its pixels are stored, or are carried apart; true of no other file."""
_ICC, _XMP, _UNIT, _NO_UNIT = 34675, 700, 296, 1
_XMP_ORIENTATION = re.compile(rb"\s*tiff:Orientation=([\"'])\d+\1|<tiff:Orientation>\d+</tiff:Orientation>")


def read_exif(image: Image.Image) -> Image.Exif:
    """The EXIF of a file; empty where it cannot be read, since the pixels are what matters."""
    try:
        # a PNG's own method would decode all pixels to look for more of it
        exif = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
        exif.tobytes()
    except Exception:  # damaged EXIF makes Pillow raise struct.error, SyntaxError and others
        return Image.Exif()
    return exif


def orientation(image: Image.Image) -> int:
    """1 to 8; 1 is upright."""
    return int(read_exif(image).get(_ORIENTATION, 1))


def _copied(exif: Image.Exif) -> Image.Exif:
    """The same, free of its file; of a TIFF with 64-bit addresses only what its first folder holds, since Pillow cannot
    read back what it writes of those."""
    copy = Image.Exif()
    try:
        copy.load(exif_bytes(exif))
    except Exception:  # struct.error and others
        copy = Image.Exif()
        for tag, value in exif.items():
            if isinstance(value, (str, bytes, int)) and tag not in (_EXIF_FOLDER, _GPS_FOLDER):
                copy[tag] = value
    return copy


def exif_bytes(exif: Image.Exif) -> bytes:
    """EXIF as a file holds it, with texts beyond ASCII byte for byte: Pillow reads them as Latin-1, whatever they are,
    and writes question marks. Those texts of `exif` become bytes."""
    for tag, value in list(exif.items()):
        if isinstance(value, str) and not value.isascii() and TiffTags.lookup(tag).type == TiffTags.ASCII:
            exif[tag] = value.encode("latin-1", "replace")
    return exif.tobytes()


def read_metadata(image: Image.Image) -> Metadata:
    """All that an open file says, without its orientation, which the decoder applies to the pixels."""
    exif = _copied(read_exif(image))
    for tag in (_ORIENTATION, _TIFF_ACROSS, _TIFF_DOWN, *_LAYOUT):
        exif.pop(tag, None)
    said = _said(image)
    xmp = said.get("xmp") or said.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return Metadata(
        icc=said.get("icc_profile"),
        exif=exif_bytes(exif) if len(exif) else None,
        xmp=_XMP_ORIENTATION.sub(b"", xmp) if xmp else None,
        dpi=_dpi(said),
    )


def _said(image: Image.Image) -> dict[Any, Any]:
    """Pillow's notes of a file; of a TIFF only what its current page says, without what pages before have left."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return image.info
    own = {"icc_profile": tags.get(_ICC), "xmp": tags.get(_XMP)}
    return own if tags.get(_UNIT) == _NO_UNIT else own | {"dpi": image.info.get("dpi")}


def _dpi(said: dict[Any, Any]) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in said["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if math.isfinite(across + down) and min(across, down) > 1 else None  # 1: no unit


def for_size(metadata: Metadata, width: int, height: int) -> Metadata:
    """The same with the size that EXIF states set to the new one; dots per inch stay."""
    if metadata.exif is None:
        return metadata
    exif = Image.Exif()
    exif.load(metadata.exif)
    folder = exif.get_ifd(_EXIF_FOLDER)
    if _PIXELS_ACROSS not in folder and _PIXELS_DOWN not in folder:
        return metadata
    folder[_PIXELS_ACROSS], folder[_PIXELS_DOWN] = width, height
    return dataclasses.replace(metadata, exif=exif_bytes(exif))
