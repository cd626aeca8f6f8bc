"""Decoding pictures of any common kind, without losing what they hold."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from advtasks.errors import DataError
from advtasks.pictures.deep import (
    Deep,
    deep_png,
    deep_tiff,
    exif_chunk,
    png_header,
    read_deep_png,
    read_deep_tiff,
    with_key,
)
from advtasks.pictures.metadata import orientation, read_metadata
from advtasks.pictures.picture import Kind, Metadata, Picture

_WITH_OPACITY = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
_ROWS = 512
"""Rows that are copied out of a decoder at a time: its memory and the array's are enough, a third is not needed."""


def read_picture(path: Path, limit: int | None = None) -> Picture:
    """Decode a file: grey, RGB, palette, alpha, CMYK, 16 bit; EXIF orientation is applied.

    Args:
        limit: pixels that are accepted. Without one, Pillow's own limit (179 megapixels) holds.

    Raises:
        DataError: not a picture, truncated, or of a kind that is not supported; the message names the file.
    """
    with opened(path, limit) as image:
        return read_open(path, image)


def read_open(path: Path, image: Image.Image) -> Picture:
    """The current page or frame of an open file; what Pillow cannot read in full depth, Pillow does not read."""
    deep = _deep(path, image)
    if deep is None:
        if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
            image.info["transparency"] *= 255 // (2 ** png_header(path)[0] - 1)  # said in the bits of the file
        image.load()
        return from_pillow(image)
    if image.format == "PNG":
        data = read_deep_png(path, image.info.get("transparency"))
    else:
        data = read_deep_tiff(path, image.tell(), deep)
    turn = _ARRAY_TURNS.get(orientation(image), lambda pixels: pixels)
    return split(turn(data), data.shape[2] in (2, 4), read_metadata(image))


@contextlib.contextmanager
def opened(path: Path, limit: int | None = None) -> Iterator[Image.Image]:
    """An open file whose size is known to be acceptable; whatever a decoder raises becomes a DataError."""
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        with path.open("rb") as file, Image.open(file) as image:
            check_size(path, image.size, limit)
            if image.format == "PNG" and "exif" not in image.info and (exif := exif_chunk(file)):
                image.info["exif"] = exif  # Pillow would decode all pixels to look for it
            yield image
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from None
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise DataError(f"{path}: above {most:.0f} megapixels, which would fill the memory: cut it up") from error
    except Exception as error:  # damaged files make decoders raise anything
        raise DataError(f"{path}: cannot be decoded ({_cause(error)})") from error


def check_size(path: Path, size: tuple[int, int], limit: int | None) -> None:
    """Refuse what would fill the memory, a decompression bomb for example.

    Raises:
        DataError: more than `limit` pixels.
    """
    width, height = size
    if limit is not None and width * height > limit:
        raise DataError(
            f"{path}: {width}x{height} is {width * height / 1e6:,.0f} megapixels, above the limit of "
            f"{limit / 1e6:,.0f}; --max-megapixels raises it"
        )


def read_kind(path: Path, limit: int | None = None) -> Kind:
    """Size and type that :func:`read_picture` will give, from the header alone.

    Raises:
        DataError: the header cannot be read, or it promises more than `limit` pixels.
    """
    with opened(path, limit) as image:
        width, height = image.size
        if image.format != "TIFF" and 5 <= orientation(image) <= 8:  # Pillow has turned the size of a TIFF
            width, height = height, width
        mode, keyed = image.mode, "transparency" in image.info
        deep = _deep(path, image)
        if deep is not None:
            return Kind(width, height, channels=deep.channels, alpha=deep.alpha or keyed, deep=True)
        alpha = mode in ("LA", "RGBA", "PA", "La", "RGBa") or (mode in ("1", "P", "L", "RGB") and keyed)
        grey = mode in ("L", "LA", "La", "1", "I") or mode.startswith("I;16")
        return Kind(width, height, channels=1 if grey else 3, alpha=alpha, deep=mode == "I" or mode.startswith("I;16"))


def picture_size(path: Path) -> tuple[int, int]:
    """Upright width and height from the header alone.

    Raises:
        DataError: the header cannot be read.
    """
    kind = read_kind(path)
    return kind.width, kind.height


def _cause(error: Exception) -> str:
    text = str(error)
    return "not a picture" if "cannot identify" in text else text or type(error).__name__


_TURNS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ARRAY_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def _deep(path: Path, image: Image.Image) -> Deep | None:
    if image.format == "PNG":
        return deep_png(path)
    return deep_tiff(image) if image.format == "TIFF" else None


def split(data: NDArray[Any], transparent: bool, metadata: Metadata) -> Picture:
    """A picture of rows (H, W, bands), the last band of which is opacity if it is `transparent`."""
    data = np.ascontiguousarray(data)
    if not transparent:
        return Picture(data, None, metadata)
    return Picture(np.ascontiguousarray(data[..., :-1]), np.ascontiguousarray(data[..., -1]), metadata)


def from_pillow(image: Image.Image) -> Picture:
    metadata = read_metadata(image)
    turn = _TURNS.get(orientation(image))
    upright = image if turn is None else image.transpose(turn)
    mode = upright.mode
    if mode in ("I;16", "I;16B", "I;16L", "I"):
        values = np.asarray(upright)
        if values.size and not 0 <= values.min() <= values.max() <= 65535:
            raise DataError(f"values from {values.min()} to {values.max()} do not fit into 16 bits")
        return Picture(values.astype(np.uint16)[..., None], None, metadata)
    if mode == "F":
        raise DataError("pictures of floating-point values are not supported; save it with 8 or 16 bit")
    if mode == "CMYK":
        upright = _cmyk_to_rgb(upright, metadata.icc)
        metadata = Metadata(exif=metadata.exif, xmp=metadata.xmp, dpi=metadata.dpi)
    elif mode == "P":
        upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
    elif mode in ("1", "L", "RGB") and (key := image.info.get("transparency")) is not None:
        return split(with_key(_array(upright.convert("L") if mode == "1" else upright), key), True, metadata)
    elif mode == "1":
        upright = upright.convert("L")
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        upright = upright.convert(_WITH_OPACITY.get(mode, "RGB"))
    return split(_array(upright), upright.mode in ("LA", "RGBA"), metadata)


def _array(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, bands) of an 8-bit picture."""
    data = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        block = np.asarray(image.crop((0, top, image.width, bottom)))
        data[top:bottom] = block.reshape(bottom - top, image.width, -1)
    return data


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    if icc:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            assert converted is not None
            return converted
        except ImageCms.PyCMSError:
            pass  # a damaged profile: the plain conversion below is what every viewer falls back to
    return image.convert("RGB")
