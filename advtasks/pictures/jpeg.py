"""Baseline JPEG row by row: strips that Pillow encodes, joined at restart markers (ITU-T T.81, sections B.2.1, E.1.4).

With a restart marker behind each row of blocks the rows are coded independently, so the joined file equals, byte for
byte of its pixels' data, the one that encoding the whole picture gives.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advtasks.pictures.picture import Kind, Metadata

QUALITY = 95
_MOST = {"exif": 65535 - 2 - 6, "xmp": 65535 - 2 - 29}
"""Bytes of a segment, without its length and its name; a profile may take several."""
STRIP = 64
"""Rows of a strip: eight rows of blocks, so that the markers, which count from 0 to 7, go on across a joint."""


def write_jpeg(
    path: Path, kind: Kind, metadata: Metadata, blocks: Iterable[NDArray[Any]], quality: int = QUALITY
) -> None:
    """Write `blocks`, (rows, width, 1 or 3) uint8, top to bottom. Colour is not subsampled (4:4:4)."""
    with path.open("wb") as file:
        for number, strip in enumerate(_strips(blocks)):
            encoded = _encoded(strip, metadata if number == 0 else Metadata(), quality)
            start = _scan_start(encoded)
            if number == 0:
                file.write(_with_height(encoded[:start], kind.height))
            else:
                file.write(b"\xff\xd7")  # RST7, behind the eighth row of blocks
            file.write(encoded[start:-2])
        file.write(b"\xff\xd9")


def held_by_jpeg(metadata: Metadata, say: Callable[[str], None]) -> Metadata:
    """Without what does not fit into one of the segments of a JPEG file (section B.1.1.4); `say` is told."""
    for name, most in _MOST.items():
        value = getattr(metadata, name)
        if value is not None and len(value) > most:
            say(f"{name.upper()} of {len(value) / 1024:.0f} KiB does not fit into a JPEG file: left out")
            metadata = dataclasses.replace(metadata, **{name: None})
    return metadata


def _strips(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """The same rows, `STRIP` at a time."""
    waiting: list[NDArray[Any]] = []
    count = 0
    for block in blocks:
        while len(block):
            part, block = block[: STRIP - count], block[STRIP - count :]
            waiting.append(part)
            count += len(part)
            if count == STRIP:
                yield np.concatenate(waiting)
                waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _encoded(strip: NDArray[Any], metadata: Metadata, quality: int) -> bytes:
    image = Image.fromarray(strip[..., 0] if strip.shape[2] == 1 else strip)
    extra = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp, "dpi": metadata.dpi}
    buffer = io.BytesIO()
    given = {name: value for name, value in extra.items() if value}
    image.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=False, restart_marker_rows=1, **given)
    return buffer.getvalue()


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment of a header, the scan's own the last one."""
    place = 2
    while True:
        marker, length = struct.unpack(">HH", data[place : place + 4])
        yield marker, place
        if marker == 0xFFDA:
            return
        place += 2 + length


def _scan_start(data: bytes) -> int:
    """Where the coded pixels begin."""
    *_, (_, place) = _segments(data)
    return place + 2 + int(struct.unpack(">H", data[place + 2 : place + 4])[0])


def _with_height(header: bytes, height: int) -> bytes:
    """The header of a strip as that of the whole picture."""
    place = next(place for marker, place in _segments(header) if marker == 0xFFC0)
    return header[: place + 5] + struct.pack(">H", height) + header[place + 7 :]
