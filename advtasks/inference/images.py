"""Between the images of other libraries and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advtasks.errors import DataError
from advtasks.pictures.picture import Picture


def from_array(array: NDArray[Any]) -> Picture:
    """(H, W) or (H, W, C), C 1 to 4 with opacity last of 2 and 4.

    Raises:
        TypeError: another shape, or neither uint8 nor uint16.
        ValueError: no pixels.
    """
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3):
        raise TypeError(f"an array is (H, W) or (H, W, C) of uint8 or uint16, not {array.shape} of {array.dtype}")
    if not array.size:
        raise ValueError(f"an array without pixels: {array.shape}")
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.shape[2] in (2, 4):
        return Picture(np.ascontiguousarray(pixels[..., :-1]), np.ascontiguousarray(pixels[..., -1]))
    return Picture(np.ascontiguousarray(pixels))


def to_array(picture: Picture, dimensions: int) -> NDArray[Any]:
    """(H, W) if that is asked for and there is one channel, (H, W, C) otherwise."""
    rows = picture.rows()
    return rows[..., 0] if dimensions == 2 and rows.shape[2] == 1 else rows


def to_pillow(picture: Picture) -> Image.Image:
    """With profile, EXIF, density and palette; colours in 8 bit, since Pillow has no more.

    Raises:
        DataError: values or channels that Pillow has no images for.
    """
    rows = picture.rows()
    if picture.kind.real or picture.kind.channels not in (1, 3):
        raise DataError(
            f"{picture.kind.channels} channels of {rows.dtype} are no Pillow image: give an array or a tensor, or "
            "model.apply(model.read(path)), whose result has them as an array (.pixels)"
        )
    if rows.dtype == np.uint16 and rows.shape[2] > 1:
        rows = np.rint(rows / 257.0).astype(np.uint8)
    image = Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows)
    if picture.metadata.palette:
        image.putpalette(picture.metadata.palette)
    said = {"icc_profile": picture.metadata.icc, "exif": picture.metadata.exif, "dpi": picture.metadata.dpi}
    image.info.update({name: value for name, value in said.items() if value is not None})
    return image
