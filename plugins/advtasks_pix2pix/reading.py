"""Reading sides of any kind: what all files of a side are, and the values of each."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advtasks.errors import DataError, UsageError
from advtasks.pictures.decode import opened, read_kind, read_picture
from advtasks_pix2pix.pairing import Side, words_of
from advtasks_pix2pix.pixels import Pixels

_LABEL_WORDS = {"label", "labels", "segmentation", "seg", "annotation", "annotations", "classes", "parsing"}
_MOST_CLASSES = 256


class LabelError(DataError):
    """A label map that is there, but is none, or of other classes: never passed over as a broken file is."""


def survey(sides: Sequence[Side], kind: str, folder: Path, classes: int = 0, keep_alpha: bool = False) -> Pixels:
    """What all files of a side are.

    Args:
        kind: ``picture``, ``labels``, or ``auto``: labels where the names of all folders or files say so.
        folder: of the data; words of its own name do not count.
        classes: of labels; 0 finds the largest number, for which every label map is read.
        keep_alpha: opacity is a fourth channel.

    Raises:
        LabelError: label maps that are none.
        UsageError: floating-point pictures whose values are all the same.
    """
    if kind == "auto":
        named = all(_LABEL_WORDS & set(words_of(str(side.path.relative_to(folder)))) for side in sides)
        kind = "labels" if named and sides else "picture"
    if kind == "labels":
        return _label_pixels(sides, folder, classes)
    headers = {side.path: found for side in sides if (found := _header(side.path)) is not None}
    if not headers:
        return Pixels()  # what is wrong is said when they are decoded
    channels, depth = max(found[0] for found in headers.values()), max(found[2] for found in headers.values())
    if keep_alpha and any(found[1] for found in headers.values()):
        channels = 4
    if depth < 32:
        return Pixels(channels=channels, depth=depth)  # type: ignore[arg-type]
    values = [_tiff(path) for path in headers]
    low, high = min(float(np.nanmin(v)) for v in values), max(float(np.nanmax(v)) for v in values)
    if not low < high:
        raise UsageError(f"{folder}: all floating-point values are {low:g}; there is nothing to learn")
    return Pixels(channels=channels, depth=32, low=low, high=high)


def read_side(side: Side, pixels: Pixels) -> NDArray[Any]:
    """The values of a side: (H, W, C) uint8, uint16 or float32; class numbers (H, W) uint8.

    Raises:
        DataError: unreadable, or another number of channels; the message names the file.
        LabelError: not a label map, or a class that there is none of.
    """
    values = _labels(side.path) if pixels.kind == "labels" else _picture(side.path, pixels)
    if side.half is not None:
        middle = values.shape[1] // 2
        values = values[:, :middle] if side.half == "left" else values[:, middle:]
    if pixels.kind != "labels":
        return np.ascontiguousarray(values)
    if pixels.classes and values.max(initial=0) >= pixels.classes:
        raise LabelError(
            f"{side.path}: holds the class {values.max()}, and there are {pixels.classes} (0 to {pixels.classes - 1}): "
            "correct the file, or give more --classes"
        )
    return values.astype(np.uint8)


def _labels(path: Path) -> NDArray[Any]:
    """Class numbers: indices of a palette, or grey values."""
    with opened(path) as image:
        if image.format in ("JPEG", "WEBP", "AVIF"):
            found = len(np.unique(np.asarray(image.convert("L"))))
            raise LabelError(
                f"{path}: a label map as {image.format}, which does not keep values exactly: {found} different ones "
                "are in it. Save label maps as PNG"
            )
        if image.mode not in ("L", "P", "1", "I;16", "I"):
            raise LabelError(f"{path}: a label map is grey or has a palette; this one is {image.mode}")
        image.load()
        values = np.asarray(image).astype(np.int64)
    if values.max(initial=0) >= _MOST_CLASSES:
        raise LabelError(f"{path}: holds the class {values.max()}; at most {_MOST_CLASSES} classes are supported")
    return values


def _picture(path: Path, pixels: Pixels) -> NDArray[Any]:
    if pixels.depth == 32 or pixels.channels == 2 or pixels.channels > 4:
        values = _tiff(path)
        if values.shape[2] != pixels.channels:
            raise DataError(f"{path}: {values.shape[2]} channels, and the others have {pixels.channels}")
        return values.astype({8: np.uint8, 16: np.uint16, 32: np.float32}[pixels.depth])
    picture = read_picture(path)
    if pixels.channels == 4:
        rows = np.repeat(picture.pixels, 3, axis=2) if picture.pixels.shape[2] == 1 else picture.pixels
        opaque = np.full(rows.shape[:2], picture.kind.top, rows.dtype)
        rows = np.dstack((rows, opaque if picture.alpha is None else picture.alpha))
    else:
        rows = picture.flat()
    if pixels.depth == 8 and rows.dtype == np.uint16:
        rows = np.rint(rows / 257.0).astype(np.uint8)
    if pixels.depth == 16 and rows.dtype == np.uint8:
        rows = rows.astype(np.uint16) * 257
    return np.repeat(rows, 3, axis=2) if rows.shape[2] < pixels.channels else rows


def _header(path: Path) -> tuple[int, bool, int] | None:
    """Channels, whether there is opacity, and depth; None of what cannot be read."""
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            samples, dtype = _tiff_header(path)
            if dtype.kind == "f" or samples == 2 or samples > 4:
                return samples, False, 32 if dtype.kind == "f" else 8 * dtype.itemsize
        kind = read_kind(path)
    except DataError:
        return None
    return kind.channels, kind.alpha, 16 if kind.deep else 8


def _tiff_header(path: Path) -> tuple[int, Any]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            return int(page.samplesperpixel), page.dtype
    except Exception as error:  # damaged files make decoders raise anything
        raise DataError(f"{path}: cannot be decoded ({error})") from error


def _tiff(path: Path) -> NDArray[Any]:
    """(H, W, C) of a TIFF of any number of channels and type."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            values: NDArray[Any] = page.asarray()
            if page.planarconfig == 2 and values.ndim == 3:
                values = np.moveaxis(values, 0, -1)
    except Exception as error:  # damaged files make decoders raise anything
        raise DataError(f"{path}: cannot be decoded ({error})") from error
    return values[..., None] if values.ndim == 2 else values


def _label_pixels(sides: Sequence[Side], folder: Path, classes: int) -> Pixels:
    colors: tuple[tuple[int, int, int], ...] = ()
    with contextlib.suppress(DataError), opened(sides[0].path) as image:
        palette = (image.getpalette() if image.mode == "P" else None) or []
        colors = tuple((palette[i], palette[i + 1], palette[i + 2]) for i in range(0, len(palette), 3))
    if not classes:
        for side in sides:
            try:
                classes = max(classes, int(_labels(side.path).max(initial=0)) + 1)
            except LabelError:
                raise
            except DataError:
                continue  # broken files are named and passed over when they are decoded
    names = _names(folder)[:classes]
    return Pixels(kind="labels", channels=1, classes=classes, names=names, colors=colors[:classes])


def _names(folder: Path) -> tuple[str, ...]:
    """Names of classes: ``classes.txt`` (a line each), ``labels.json`` (a list, or by number) or ``labels.csv``."""
    if (path := folder / "classes.txt").is_file():
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    if (path := folder / "labels.json").is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        names = found if isinstance(found, list) else [found[key] for key in sorted(found, key=int)]
        return tuple(map(str, names))
    if (path := folder / "labels.csv").is_file():
        return tuple(row[-1] for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row)
    return ()
