"""Writing pictures row by row in the format of their input, where that format can hold them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advtasks.atomic import atomic_path
from advtasks.pictures.animation import Animation
from advtasks.pictures.color import grey_as_rgb
from advtasks.pictures.formats import FORMATS
from advtasks.pictures.jpeg import QUALITY, held_by_jpeg, write_jpeg
from advtasks.pictures.metadata import for_size
from advtasks.pictures.picture import Kind, Metadata, Picture, assembled
from advtasks.pictures.png import write_png
from advtasks.pictures.tiff import write_tiff

Blocks = Iterable[NDArray[Any]]
"""Rows of a picture from top to bottom, (rows, width, bands), as they become known."""

_OPTIONS: dict[str, dict[str, Any]] = {"WEBP": {"quality": 95, "method": 4}, "AVIF": {"quality": 90}}
_DEEP = {".png", ".tif", ".tiff"}
_TRANSPARENT = {".png", ".webp", ".tif", ".tiff", ".avif"}
_COLORED = {"WEBP", "AVIF"}
"""They hold no grey, so no profile of grey values."""
_ANIMATED = {".png", ".webp", ".avif"}
_LONGEST = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500, ".avif": 65535}
_MOVING = ".webp"
"""For animations whose own format cannot hold full colour: GIF has 256 colours."""


def output_suffix(suffix: str, kind: Kind, animation: Animation | None = None) -> str:
    """The suffix, or another one where that format cannot hold the picture's depth, transparency, size or frames:
    ``.png`` for a picture, ``.webp`` for an animation (``.png`` where it is too large for that), ``.tif`` for
    floating-point values and channels that are no colours."""
    suffix = suffix.lower()
    if kind.real or kind.channels not in (1, 3):
        return suffix if suffix in (".tif", ".tiff") else ".tif"
    longest = max(kind.width, kind.height)
    fits = suffix in FORMATS and longest <= _LONGEST.get(suffix, longest)
    fits &= not kind.deep or suffix in _DEEP
    fits &= not kind.alpha or suffix in _TRANSPARENT
    fits &= not (kind.deep and kind.alpha and kind.channels == 1) or suffix == ".png"  # few read such a TIFF
    if animation is None:
        return suffix if fits else ".png"
    if animation.pages:
        return suffix if suffix in (".tif", ".tiff") else ".tiff"
    if fits and suffix in _ANIMATED:
        return suffix
    return _MOVING if longest <= _LONGEST[_MOVING] else ".png"


def encode(
    path: Path,
    kind: Kind,
    metadata: Metadata,
    blocks: Blocks,
    quality: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Write one picture by the path's suffix, atomically. PNG, JPEG and TIFF are written as the rows come, so their
    memory does not grow with the picture; the other formats are put together first.

    Args:
        quality: of JPEG, WebP and AVIF, 1 to 100; by default 95, 95 and 90.
        say: told what the format cannot hold.
    """
    metadata = for_size(metadata, kind.width, kind.height)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        metadata = held_by_jpeg(metadata, lambda text: say(f"{path}: {text}"))
    with atomic_path(path) as temporary:
        _encoder(path, quality)(temporary, kind, metadata, blocks)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture that is there as a whole, by the path's suffix, atomically."""
    encode(path, picture.kind, picture.metadata, (picture.rows(),))


def encode_frames(path: Path, frames: Iterable[Picture], animation: Animation, quality: int | None = None) -> None:
    """Write the frames of an animation, or pages, atomically. Pages are written as they come; of an animation Pillow
    holds all frames until the last."""
    remaining = iter(frames)
    first = next(remaining)
    metadata = for_size(first.metadata, *first.size)
    with atomic_path(path) as temporary:
        if animation.pages:
            every = itertools.chain((first,), remaining)
            pages = ((frame.kind, frame.metadata, (frame.rows(),)) for frame in every)
            write_tiff(temporary, metadata, pages, first.rows().nbytes * len(animation.durations))
            return
        format_ = FORMATS[path.suffix.lower()]
        options = _options(format_, quality) | _given(metadata, format_)
        if animation.loop is not None:
            options["loop"] = animation.loop
        elif format_ != "AVIF":
            options["loop"] = 1  # once: 0 is for ever
        durations = list(animation.durations)
        others = [_image(frame.rows()) for frame in remaining]
        _image(first.rows()).save(
            temporary, format_, save_all=True, append_images=others, duration=durations, **options
        )


def _encoder(path: Path, quality: int | None) -> Callable[[Path, Kind, Metadata, Blocks], None]:
    suffix = path.suffix.lower()
    if suffix == ".png":
        return write_png
    if suffix in (".jpg", ".jpeg"):
        return functools.partial(write_jpeg, quality=quality or QUALITY)
    if suffix in (".tif", ".tiff"):
        return lambda file, kind, metadata, blocks: write_tiff(file, metadata, [(kind, metadata, blocks)], kind.nbytes)
    return functools.partial(_write_whole, FORMATS[suffix], quality)


def _write_whole(format_: str, quality: int | None, path: Path, kind: Kind, metadata: Metadata, blocks: Blocks) -> None:
    rows = assembled(kind, blocks)
    if format_ in _COLORED and kind.channels == 1 and metadata.icc:
        pixels, metadata = grey_as_rgb(rows[..., :1], metadata)
        rows = np.concatenate((pixels, rows[..., 1:]), axis=2)
    _image(rows).save(path, format_, **_options(format_, quality), **_given(metadata, format_))


def _options(format_: str, quality: int | None) -> dict[str, Any]:
    usual = _OPTIONS.get(format_, {})
    return usual | {"quality": quality} if quality and "quality" in usual else usual


def _image(rows: NDArray[Any]) -> Image.Image:
    return Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows)


def _given(metadata: Metadata, format_: str) -> dict[str, Any]:
    """What Pillow writes of it in this format."""
    if format_ == "BMP":
        return {"dpi": metadata.dpi} if metadata.dpi else {}
    every = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    if format_ == "PNG":
        every.pop("xmp")
    return {name: value for name, value in every.items() if value}
