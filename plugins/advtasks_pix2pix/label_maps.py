"""Label maps: pictures whose values are numbers of classes, and what shows that some are none."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from advtasks.data.parallel import in_parallel
from advtasks.errors import DataError, UsageError
from advtasks.pictures.decode import opened
from advtasks.pictures.deep import png_header
from advtasks_pix2pix.class_names import read_names
from advtasks_pix2pix.pairing import Side
from advtasks_pix2pix.pixels import Pixels

MOST_CLASSES = 256
_MOST_UNUSED = 64
"""Channels that stay empty, beyond which the numbers are taken for something else than a count of classes."""
_STRAYS = 5
_LONELY = 1.5
"""Of eight neighbours those of the same class, below which the pixels of a value are scattered."""
_WAY_OUT = "training with --input-kind picture (or --target-kind picture) takes them as pictures"


class LabelError(DataError):
    """A label map that is there, but is none, or of other classes: never passed over as a broken file is."""

    of_one_file = False


def read_labels(side: Side) -> NDArray[Any]:
    """Class numbers (H, W): indices of a palette, or grey values.

    Raises:
        DataError: unreadable.
        LabelError: not a label map; the message names the file.
    """
    path = side.path
    with opened(path) as image:
        if (pages := getattr(image, "n_frames", 1)) > 1:
            raise LabelError(f"{path}: {pages} pages or frames; a label map is one")
        if image.format == "JPEG":
            found = len(np.unique(np.asarray(image.convert("L"))))
            raise LabelError(
                f"{path}: a label map as JPEG, which does not keep values exactly: {found} different ones are in it. "
                f"Save label maps as PNG from their source; {_WAY_OUT}"
            )
        upright = ImageOps.exif_transpose(image)
        values = _values(side, upright)
        if image.format == "PNG" and image.mode == "L":
            values //= 255 // (2 ** png_header(path)[0] - 1)  # Pillow spreads values of 2 and 4 bits over 8
        has_palette = upright.mode == "P"
    if values.min(initial=0) < 0:
        raise LabelError(f"{path}: holds the class {values.min()}; numbers of classes begin with 0")
    if values.max(initial=0) >= MOST_CLASSES:
        raise LabelError(f"{path}: holds the class {values.max()}; at most {MOST_CLASSES} classes are supported")
    if not has_palette and (strays := stray_values(values)):
        named = ", ".join(map(str, strays[:6])) + (", ..." if len(strays) > 6 else "")
        raise LabelError(
            f"{path}: {len(strays)} stray values ({named}) of scattered pixels, as JPEG and resizing leave them "
            f"between classes: save label maps as PNG from their source, and resize them by nearest value; {_WAY_OUT}"
        )
    return values


def _values(side: Side, image: Image.Image) -> NDArray[Any]:
    if image.mode in ("L", "P", "1", "I;16", "I"):
        return side.of(np.asarray(image)).astype(np.int64)
    if image.mode == "LA":
        return side.of(np.asarray(image))[..., 0].astype(np.int64)
    if image.mode in ("RGB", "RGBA"):  # WebP has no grey
        red, green, blue = np.moveaxis(side.of(np.asarray(image))[..., :3], 2, 0)
        if (red == green).all() and (red == blue).all():
            return red.astype(np.int64)
    raise LabelError(
        f"{side.path}: a label map is grey or has a palette; this one is in colour ({image.mode}); {_WAY_OUT}"
    )


def stray_values(numbers: NDArray[Any]) -> list[int]:
    """Values that lossy storage has made, or none. A pixel of a class lies among its like, even on a line of one pixel.
    One that compression or interpolation left between classes hardly does, and most values of such a file are like
    that. Of 468 maps of streets none is suspected, at a tenth of their size either; of those with spaced values that
    were saved as JPEG, all are. Where classes are numbered one by one, what JPEG leaves are numbers of classes, and
    nothing tells them."""
    every = np.bincount(numbers.ravel(), minlength=MOST_CLASSES)
    if np.count_nonzero(every) <= _STRAYS:
        return []
    height, width = numbers.shape
    around = np.pad(numbers, 1, constant_values=-1)
    alike = np.full(numbers.shape, -1)  # a pixel is no neighbour of its own
    for top in range(3):
        for left in range(3):
            alike += around[top : top + height, left : left + width] == numbers
    neighbours = np.bincount(numbers.ravel(), weights=alike.ravel(), minlength=MOST_CLASSES)
    strays = np.flatnonzero((every > 0) & (neighbours < _LONELY * every))
    many = len(strays) >= _STRAYS and 2 * len(strays) > np.count_nonzero(every)
    return [int(value) for value in strays] if many else []


def survey_labels(sides: Sequence[Side], folder: Path, classes: int = 0, ignored: int | None = None) -> Pixels:
    """What label maps are: their classes, with names and colours as far as known.

    Args:
        classes: how many; 0 finds the largest number, for which every label map is read.
        ignored: number of pixels that are of no class.

    Raises:
        DataError: names that cannot be read.
        LabelError: label maps that are none.
        UsageError: numbers that would make many channels of nothing.
    """
    unused: tuple[int, ...] = ()
    if not classes:
        used = _numbers(sides) - {ignored}
        classes = max(used, default=0) + 1
        unused = tuple(sorted(set(range(classes)) - used - {ignored})) if used else ()
        if len(unused) > _MOST_UNUSED:
            shown = sorted(used)
            named = ", ".join(map(str, shown if len(shown) < 12 else [*shown[:6], "...", *shown[-4:]]))
            raise UsageError(
                f"{folder}: label maps hold the numbers {named}, so {len(unused)} of {classes} channels would be "
                f"empty. If {shown[-1]} means no class, give --ignore-label {shown[-1]}; else renumber the classes "
                f"from 0, or give --classes {classes} if that many are meant. If these are no classes but pictures, "
                f"such as masks in black and white, {_WAY_OUT}"
            )
    return Pixels(
        kind="labels",
        channels=1,
        classes=classes,
        names=read_names(folder)[:classes],
        colors=_colors(sides)[:classes],
        ignored=ignored,
        unused=unused,
    )


def _numbers(sides: Sequence[Side]) -> set[int]:
    """Those of all label maps. Broken files are named and passed over when they are decoded.

    Raises:
        LabelError: the first that is no label map.
    """
    try:
        found, _ = in_parallel("reading label maps", list(dict.fromkeys(sides)), _numbers_of)
    except _NoLabels as told:
        raise told.error from None
    return set().union(*found)


class _NoLabels(Exception):
    """Ends the reading at once, which a broken file does not."""

    def __init__(self, error: LabelError) -> None:
        self.error = error


def _numbers_of(side: Side) -> set[int]:
    try:
        counts = np.bincount(read_labels(side).ravel())
    except LabelError as error:
        raise _NoLabels(error) from None
    return set(counts.nonzero()[0].tolist())


def _colors(sides: Sequence[Side]) -> tuple[tuple[int, int, int], ...]:
    for side in sides:  # the first that can be read
        with contextlib.suppress(DataError), opened(side.path) as image:
            image.load()
            palette = (image.getpalette() if image.mode == "P" else None) or []
            return tuple((palette[i], palette[i + 1], palette[i + 2]) for i in range(0, len(palette), 3))
    return ()
