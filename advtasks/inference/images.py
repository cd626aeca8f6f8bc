"""Between the images of other libraries and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advtasks.pictures.picture import Picture


def from_array(array: NDArray[Any]) -> Picture:
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3):
        raise TypeError(f"an array is (H, W) or (H, W, C) of uint8 or uint16, not {array.shape} of {array.dtype}")
    if not array.size:
        raise ValueError(f"an array without pixels: {array.shape}")
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.shape[2] in (2, 4):
        return Picture(np.ascontiguousarray(pixels[..., :-1]), np.ascontiguousarray(pixels[..., -1]))
    return Picture(np.ascontiguousarray(pixels))


def to_array(picture: Picture, dimensions: int) -> NDArray[Any]:
    rows = picture.rows()
    return rows[..., 0] if dimensions == 2 else rows


def to_pillow(picture: Picture) -> Image.Image:
    rows = picture.rows()
    if rows.dtype == np.uint16 and rows.shape[2] > 1:
        rows = np.rint(rows / 257.0).astype(np.uint8)
    image = Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows)
    said = {"icc_profile": picture.metadata.icc, "exif": picture.metadata.exif, "dpi": picture.metadata.dpi}
    image.info.update({name: value for name, value in said.items() if value is not None})
    return image
