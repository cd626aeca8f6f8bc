"""TIFF as scientific programs write it: any number of channels, of any type, within a page or as a page each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advtasks.errors import DataError

SUFFIXES = frozenset({".tif", ".tiff"})
_INKS = 5
"""TIFF's number of CMYK."""


@dataclass(frozen=True)
class Layout:
    """What a TIFF holds, by its header."""

    width: int
    height: int
    channels: int
    dtype: np.dtype[Any]
    paged: bool
    """Whether each channel is a page."""
    colours: bool = True
    """Whether the fourth of four channels is opacity, or black beside inks, and no measurement."""

    @property
    def measured(self) -> bool:
        """Whether values are numbers with a range of their own (floating-point, signed, or wider than 16 bit)."""
        return self.dtype.kind in "fi" or self.dtype.itemsize > 2

    @property
    def scientific(self) -> bool:
        """Whether this is more than a picture of grey or RGB, perhaps with opacity, of 8 or 16 bit."""
        return self.measured or self.paged or self.bands or self.channels == 2 or self.channels > 4

    @property
    def bands(self) -> bool:
        """Whether four channels are four measurements."""
        return self.channels == 4 and not self.colours


def values_layout(path: Path) -> Layout:
    """Channels and type, from the header.

    Raises:
        DataError: unreadable, complex numbers, or pages that are no channels of one picture.
    """
    return _opened(path, _layout)


def read_values(path: Path) -> NDArray[Any]:
    """(H, W, C), of the file's own type.

    Raises:
        DataError: as :func:`values_layout`.
    """

    def read(path: Path, file: Any) -> NDArray[Any]:
        _layout(path, file)
        planes = [_page(page) for page in _pages(file)]
        return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)

    return _opened(path, read)


def _opened(path: Path, work: Any) -> Any:
    import tifffile

    try:
        with path.open("rb") as stream, tifffile.TiffFile(stream) as file:
            return work(path, file)
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise anything
        raise DataError(f"{path}: cannot be decoded ({error})") from error


def _layout(path: Path, file: Any) -> Layout:
    pages = _pages(file)
    first = pages[0]
    if first.dtype is None or first.dtype.kind not in "biuf":
        raise DataError(f"{path}: values of the type {first.dtype} are not supported")
    size = int(first.imagewidth), int(first.imagelength)
    if len(pages) == 1:
        colours = first.photometric == _INKS or tuple(first.extrasamples) in ((1,), (2,))
        return Layout(*size, int(first.samplesperpixel), first.dtype, paged=False, colours=colours)
    if {(page.shape, page.dtype, page.samplesperpixel) for page in pages} != {(first.shape, first.dtype, 1)}:
        raise DataError(
            f"{path}: {len(pages)} pages that are no channels of one picture, since they are not of one size and type "
            "with one value a pixel: save each as a file of its own"
        )
    return Layout(*size, len(pages), first.dtype, paged=True)


def _pages(file: Any) -> list[Any]:
    """Without smaller copies and masks."""
    return [page for page in file.pages if not page.is_reduced and not page.is_mask] or [file.pages[0]]


def _page(page: Any) -> NDArray[Any]:
    values: NDArray[Any] = page.asarray()
    if page.planarconfig == 2 and values.ndim == 3:
        values = np.moveaxis(values, 0, -1)
    return values[..., None] if values.ndim == 2 else values
