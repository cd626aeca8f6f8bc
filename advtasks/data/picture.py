"""Decoding pictures of any common kind, without losing what they hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from advtasks.errors import DataError


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: (H, W, C) uint8 or uint16, C = 1 (grey) or 3 (RGB).
        alpha: (H, W) of the same type, or None.
        icc: colour profile of the pixels, or None.
        exif: EXIF bytes without orientation, or None.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def rgb8(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 for training: grey repeated, 16 bit rounded, transparency laid on white."""
        pixels = self.pixels
        if self.alpha is not None:
            top = np.iinfo(pixels.dtype).max
            opacity = self.alpha[..., None].astype(np.float32) / top
            pixels = np.rint(pixels * opacity + top * (1 - opacity)).astype(pixels.dtype)
        if pixels.dtype == np.uint16:
            pixels = np.rint(pixels / 257.0).astype(np.uint8)
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        return np.ascontiguousarray(pixels, dtype=np.uint8)


def read_picture(path: Path) -> Picture:
    """Decode a file: grey, RGB, palette, alpha, CMYK, 16 bit; EXIF orientation is applied.

    Raises:
        DataError: not a picture, truncated, or of a kind that is not supported; the message names the file.
    """
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        with path.open("rb") as file, Image.open(file) as image:
            image.load()
            if _is_deep(path, image):
                return _read_deep(path, image)
            return _from_pillow(image)
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise anything
        raise DataError(f"{path}: cannot be decoded ({_cause(error)})") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Upright width and height from the header alone.

    Raises:
        DataError: the header cannot be read.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            width, height = image.size
            turned = _orientation(image) >= 5
    except Exception as error:  # damaged files make decoders raise anything
        raise DataError(f"{path}: cannot be decoded ({_cause(error)})") from error
    return (height, width) if turned else (width, height)


def _cause(error: Exception) -> str:
    text = str(error)
    return "not a picture" if "cannot identify" in text else text or type(error).__name__


_ORIENTATION = 0x0112
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


def _read_exif(image: Image.Image) -> Image.Exif:
    """The EXIF of a file; empty where it cannot be read, since the pixels are what matters."""
    try:
        exif = image.getexif()
        exif.tobytes()
    except Exception:  # damaged EXIF makes Pillow raise struct.error, SyntaxError and others
        return Image.Exif()
    return exif


def _orientation(image: Image.Image) -> int:
    return int(_read_exif(image).get(_ORIENTATION, 1))


def _exif_without_orientation(image: Image.Image) -> bytes | None:
    exif = Image.Exif()
    exif.load(_read_exif(image).tobytes())
    exif.pop(_ORIENTATION, None)
    return exif.tobytes() if len(exif) else None


def _is_deep(path: Path, image: Image.Image) -> bool:
    """Whether the file holds 16-bit colour, which Pillow reads as 8 bit."""
    if path.suffix.lower() == ".png" and image.mode in ("RGB", "RGBA", "LA"):
        with path.open("rb") as file:
            return file.read(26)[24] == 16  # bit depth of the IHDR chunk
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA"):
        return bool(16 in (getattr(image, "tag_v2", {}).get(258) or ()))
    return False


def _read_deep(path: Path, image: Image.Image) -> Picture:
    import cv2

    data = cv2.imdecode(np.frombuffer(path.read_bytes(), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if data is None or data.dtype != np.uint16:
        return _from_pillow(image)
    if data.ndim == 2:
        data = data[..., None]
    if image.format == "PNG":  # OpenCV turns TIFF itself, PNG not
        data = _ARRAY_TURNS.get(_orientation(image), lambda pixels: pixels)(data)
    alpha = data[..., -1] if data.shape[2] in (2, 4) else None
    colour = data[..., :1] if data.shape[2] < 3 else data[..., 2::-1]
    return Picture(
        np.ascontiguousarray(colour),
        None if alpha is None else np.ascontiguousarray(alpha),
        image.info.get("icc_profile"),
        _exif_without_orientation(image),
    )


def _from_pillow(image: Image.Image) -> Picture:
    icc = image.info.get("icc_profile")
    exif = _exif_without_orientation(image)
    turn = _TURNS.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    mode = upright.mode
    if mode in ("I;16", "I;16B", "I;16L", "I"):
        grey = np.clip(np.asarray(upright).astype(np.int64), 0, 65535).astype(np.uint16)
        return Picture(grey[..., None], None, icc, exif)
    if mode == "F":
        raise DataError("pictures of floating-point values are not supported; save it with 8 or 16 bit")
    if mode == "CMYK":
        upright, icc = _cmyk_to_rgb(upright, icc), None
    elif mode == "P":
        upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
    elif mode == "1":
        upright = upright.convert("L")
    elif "transparency" in upright.info and mode in ("L", "RGB"):
        upright = upright.convert("LA" if mode == "L" else "RGBA")
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        upright = upright.convert("RGB")
    data = np.asarray(upright)
    if data.ndim == 2:
        data = data[..., None]
    if upright.mode in ("LA", "RGBA"):
        return Picture(data[..., :-1].copy(), data[..., -1].copy(), icc, exif)
    return Picture(data.copy(), None, icc, exif)


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
