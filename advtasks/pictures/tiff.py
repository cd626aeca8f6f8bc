"""TIFF strip by strip of 8, 16 or floating-point 32 bit, one page or several, with profile, EXIF, XMP and density."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from advtasks.pictures.picture import Kind, Metadata

_STRIP = 64
_LEVEL = 4
_BIG = 2**31
"""Bytes of pixels from which on the file has 64-bit addresses."""
_XMP = 700
_FOLDERS = (0x8769, 0x8825)
"""EXIF and GPS. The writer refuses these tags; placeholders one below keep their place among the sorted tags."""
_INTEROPERABILITY = 0xA005
"""A folder within the EXIF folder, which says which version of the rules for cameras holds."""
_ASCII, _BYTE, _LONG = 2, 1, 4
_TEXTS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298}
"""Description, make, model, software, date, artist, copyright."""


Page = tuple[Kind, Metadata, Iterable[NDArray[Any]]]
"""Its blocks (rows, width, bands) are of its kind's type, top to bottom."""


def write_tiff(path: Path, metadata: Metadata, pages: Iterable[Page], nbytes: int) -> None:
    """Write pages.

    Args:
        metadata: of the file: its EXIF and XMP; profile and density are each page's own.
        nbytes: of all pixels, about.
    """
    import tifffile

    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    big = nbytes > _BIG
    # Pillow writes no folder with 64-bit addresses
    folders = {} if big else {tag: folder for tag in _FOLDERS if (folder := exif.get_ifd(tag))}
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<") as file:
        for number, (kind, own, blocks) in enumerate(pages):
            file.write(
                _strips(blocks),
                shape=(kind.height, kind.width, kind.bands) if kind.bands > 1 else (kind.height, kind.width),
                dtype=kind.dtype,
                photometric="rgb" if kind.channels == 3 else "minisblack",
                planarconfig="contig" if kind.bands > 1 else None,
                extrasamples=["unassalpha"] if kind.alpha else None,
                rowsperstrip=_STRIP,
                compression="zlib",
                predictor=not kind.real,
                iccprofile=own.icc,
                resolution=own.dpi or (1, 1),
                resolutionunit="INCH" if own.dpi else "NONE",
                software=False,
                extratags=_extra(exif, metadata.xmp, folders) if number == 0 else (),
                metadata=None,
            )
    for tag, folder in folders.items():
        _append(path, tag, folder)


def _extra(exif: Image.Exif, xmp: bytes | None, folders: Iterable[int]) -> list[tuple[Any, ...]]:
    tags: list[tuple[Any, ...]] = [
        (tag, _ASCII, 0, str(exif[tag]).encode("latin-1"), True) for tag in _TEXTS if tag in exif
    ]
    if xmp:
        tags.append((_XMP, _BYTE, len(xmp), xmp, True))
    return [*tags, *((tag - 1, _LONG, 1, 0, True) for tag in folders)]


def _strips(blocks: Iterable[NDArray[Any]]) -> Iterator[bytes]:
    """Strips of equal height, the last one as it comes, under the horizontal predictor and compressed."""
    waiting: NDArray[Any] | None = None
    for block in blocks:
        waiting = block if waiting is None else np.concatenate((waiting, block))
        while len(waiting) >= _STRIP:
            yield _packed(waiting[:_STRIP])
            waiting = waiting[_STRIP:]
    if waiting is not None and len(waiting):
        yield _packed(waiting)


def _packed(strip: NDArray[Any]) -> bytes:
    differences = strip.copy()
    if strip.dtype.kind != "f":
        differences[:, 1:] -= strip[:, :-1]  # wraps around, as it must
    return zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), _LEVEL)


def _append(path: Path, number: int, folder: dict[int, Any]) -> None:
    """Put a folder behind all else and its address into its tag."""
    import tifffile

    with tifffile.TiffFile(path, mode="r+") as file:
        page: Any = file.pages[0]
        little = file.byteorder == "<"
        directory = ImageFileDirectory_v2(prefix=b"II" if little else b"MM", group=number)
        for tag, value in folder.items():
            if tag != _INTEROPERABILITY:
                directory[tag] = value
        handle = file.filehandle
        place = handle.size + handle.size % 2
        handle.seek(handle.size)
        handle.write(b"\0" * (place - handle.size) + directory.tobytes(place))
        tag, order = page.tags[number - 1], "<" if little else ">"
        handle.seek(tag.offset)
        handle.write(struct.pack(f"{order}H", number))
        handle.seek(tag.valueoffset)
        handle.write(struct.pack(f"{order}I", place))
