"""Reading sides of any kind: what all files of a side are, and the values of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from advtasks.data.parallel import in_parallel
from advtasks.errors import DataError, UsageError
from advtasks.greyscale import greyscale
from advtasks.pictures.color import in_srgb
from advtasks.pictures.decode import read_kind, read_picture
from advtasks.pictures.values import SUFFIXES, read_values, values_layout
from advtasks_pix2pix.label_maps import LabelError, read_labels, survey_labels
from advtasks_pix2pix.pairing import Side, within, words_of
from advtasks_pix2pix.pixels import Pixels

_LABEL_WORDS = {"label", "labels", "segmentation", "seg", "annotation", "annotations", "classes", "parsing"}


@dataclass(frozen=True)
class Header:
    """What the header of a file says of its values."""

    channels: int
    alpha: bool
    depth: int
    paged: bool = False
    """Each channel is a page."""
    bands: bool = False
    """Four channels are four measurements."""
    scientific: bool = False
    """More than a picture of grey or RGB, perhaps with opacity."""


def survey(
    sides: Sequence[Side],
    kind: str,
    folder: Path,
    classes: int = 0,
    keep_alpha: bool = False,
    ignored: int | None = None,
) -> Pixels:
    """What all files of a side are.

    Args:
        kind: ``picture``, ``labels``, or ``auto``: labels where the names of all folders or files say so.
        folder: of the data; words of its own name do not count.
        classes: of labels; 0 finds the largest number, for which every label map is read.
        keep_alpha: opacity is a fourth channel.
        ignored: number of pixels of label maps that are of no class.

    Raises:
        DataError: values that are not finite, or names of classes that cannot be read.
        LabelError: label maps that are none.
        UsageError: floating-point pictures whose values are all the same, or label maps of few classes among many
            numbers.
    """
    if kind == "auto":
        named = all(_LABEL_WORDS & set(words_of(str(within(side.path, folder)))) for side in sides)
        kind = "labels" if named and sides else "picture"
    if kind == "labels":
        return survey_labels(sides, folder, classes, ignored)
    paths = [side.path for side in sides]
    headers = {p: header for p, header in zip(paths, in_parallel("headers", paths, _header)[0], strict=True) if header}
    if not headers:
        return Pixels()  # what is wrong is said when they are decoded
    headers = _alike(headers)
    channels, depth = max(found.channels for found in headers.values()), max(found.depth for found in headers.values())
    if keep_alpha and any(found.alpha for found in headers.values()):
        channels = 4
    paged, bands = (any(getattr(found, what) for found in headers.values()) for what in ("paged", "bands"))
    if depth < 32:
        return Pixels(channels=channels, depth=depth, paged=paged, bands=bands)  # type: ignore[arg-type]
    low, high = _range(headers, folder)
    return Pixels(channels=channels, depth=32, low=low, high=high, paged=paged, bands=bands)


def _alike(headers: dict[Path, Header]) -> dict[Path, Header]:
    """Those of the kind that most files are: pictures, which go together, or measurements of one number of channels."""
    kinds = {path: (found.channels, found.depth == 32) if found.scientific else () for path, found in headers.items()}
    usual = max(dict.fromkeys(kinds.values()), key=list(kinds.values()).count)
    return {path: found for path, found in headers.items() if kinds[path] == usual}


def read_side(side: Side, pixels: Pixels) -> NDArray[Any]:
    """The values of a side: (H, W, C) uint8, uint16 or float32; class numbers (H, W) uint8.

    Raises:
        DataError: unreadable, another number of channels, or values that are not finite; the message names the file.
        LabelError: not a label map, or a class that there is none of.
    """
    if pixels.kind != "labels":
        return np.ascontiguousarray(side.of(_picture(side.path, pixels)))
    values = read_labels(side)
    highest = values.max(initial=0, where=values != pixels.void)
    if pixels.classes and highest >= pixels.classes:
        raise LabelError(
            f"{side.path}: holds the class {highest}, and there are {pixels.classes} (0 to {pixels.classes - 1})"
        )
    return values.astype(np.uint8)


def is_scientific(path: Path) -> bool:
    """Whether a file is a TIFF that holds more than a picture of grey or RGB.

    Raises:
        DataError: it cannot be read.
    """
    return path.suffix.lower() in SUFFIXES and values_layout(path).scientific


def _range(headers: dict[Path, Header], folder: Path) -> tuple[float, float]:
    """The lowest and the highest value; one file at a time is in memory."""
    low, high = np.inf, -np.inf
    for path in headers:
        try:
            values = read_values(path)
        except DataError:
            continue  # named and passed over when it is decoded
        _check_finite(path, values)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low > high:
        return 0.0, 1.0
    if low == high:
        raise UsageError(f"{folder}: all values of its TIFF files are {low:g}; there is nothing to learn")
    return low, high


def _check_finite(path: Path, values: NDArray[Any]) -> None:
    """Raises:
    DataError: infinite values, or some that are no number.
    """
    if wrong := int(np.count_nonzero(~np.isfinite(values))):
        raise DataError(
            f"{path}: {wrong} of {values.size} values are infinite or not a number; replace them with the value that "
            "missing pixels should have, or leave the file out"
        )


def _picture(path: Path, pixels: Pixels) -> NDArray[Any]:
    if pixels.measured or (path.suffix.lower() in SUFFIXES and _is_scientific_or_broken(path)):
        return _scientific(path, pixels)
    picture = in_srgb(read_picture(path))
    if pixels.channels == 4:
        rows = np.repeat(picture.pixels, 3, axis=2) if picture.pixels.shape[2] == 1 else picture.pixels
        opaque = np.full(rows.shape[:2], picture.kind.top, rows.dtype)
        rows = np.dstack((rows, opaque if picture.alpha is None else picture.alpha))
    else:
        rows = picture.flat()
    rows = _at_depth(rows, pixels.depth)
    if rows.shape[2] == 3 and pixels.channels == 1:  # what is measured may be in colour where training was not
        grey = greyscale(torch.from_numpy(rows.astype(np.float32)).permute(2, 0, 1))[0]
        return np.rint(grey.numpy()).astype(rows.dtype)[..., None]
    return np.repeat(rows, 3, axis=2) if rows.shape[2] < pixels.channels else rows


def _is_scientific_or_broken(path: Path) -> bool:
    try:
        return is_scientific(path)
    except DataError:
        return False  # Pillow may know more of it, or says what is wrong


def _scientific(path: Path, pixels: Pixels) -> NDArray[Any]:
    if path.suffix.lower() not in SUFFIXES:
        kind = read_kind(path)
        raise DataError(
            f"{path}: {kind.channels + kind.alpha} channels, {'16' if kind.deep else '8'} bit, and most others "
            f"are TIFF: {pixels.described}"
        )
    values = read_values(path)
    if values.shape[2] == 1 and pixels.channels == 3:  # grey, as of pictures
        values = np.repeat(values, 3, axis=2)
    if values.shape[2] != pixels.channels:
        raise DataError(f"{path}: {values.shape[2]} channels, and most others have {pixels.channels}")
    if pixels.depth == 32:
        _check_finite(path, values)
        return values.astype(np.float32)
    if values.dtype.kind in "fi" or values.dtype.itemsize > 2:
        raise DataError(f"{path}: values of the type {values.dtype}, and most others have {pixels.depth} bit")
    return _at_depth(values.astype(np.uint8) if values.dtype.kind == "b" else values, pixels.depth)


def _at_depth(values: NDArray[Any], depth: int) -> NDArray[Any]:
    if depth == 8 and values.dtype == np.uint16:
        return np.rint(values / 257.0).astype(np.uint8)
    if depth == 16 and values.dtype == np.uint8:
        return values.astype(np.uint16) * 257
    return values


def _header(path: Path) -> Header | None:
    """None of what cannot be read."""
    try:
        if path.suffix.lower() in SUFFIXES:
            layout = values_layout(path)
            if layout.scientific:
                depth = 32 if layout.measured else 8 * layout.dtype.itemsize
                return Header(layout.channels, False, depth, layout.paged, layout.bands, scientific=True)
        kind = read_kind(path)
    except DataError:
        return None
    return Header(kind.channels, kind.alpha, 16 if kind.deep else 8)
