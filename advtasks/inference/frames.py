"""Animations and documents of several pages, frame by frame."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from advtasks.errors import DataError
from advtasks.pictures.animation import read_animation, read_frames
from advtasks.pictures.color import grey_as_rgb
from advtasks.pictures.decode import picture_size
from advtasks.pictures.encode import encode_frames
from advtasks.pictures.picture import Picture

Convert = Callable[[Picture, tuple[int, int]], Picture]
"""Takes a frame and the size wanted."""


def convert_frames(
    source: Path,
    target: Path,
    convert: Convert,
    size: Callable[[int, int], tuple[int, int]],
    watch: Callable[[int, int], None],
    limit: int | None = None,
    quality: int | None = None,
    memory: int = sys.maxsize,
) -> tuple[int, int, int]:
    """Pass every frame of a file through `convert`, timing kept; gives width, height and number of frames.

    Args:
        size: the wanted width and height for a frame's.
        watch: called with frames done and frames in all.
        limit: pixels of a frame that are accepted.
        quality: see :func:`advtasks.pictures.encode.encode`.
        memory: bytes that the frames of an animation may take.

    Raises:
        DataError: a frame cannot be decoded, or there is too little memory for all of them.
    """
    animation = read_animation(source, limit)
    if animation is None:
        raise DataError(f"{source}: holds a single picture")
    width, height = size(*picture_size(source))
    needed = width * height * 4 * len(animation.durations)
    if not animation.pages and needed > memory:
        raise DataError(
            f"{source}: {len(animation.durations)} frames of {width}x{height} take {needed / 2**30:,.1f} GiB until the "
            f"last one is encoded, and there are {memory / 2**30:,.1f}; make a smaller one (--size), or a video of it"
        )
    sizes: list[tuple[int, int]] = []

    def converted() -> Iterator[Picture]:
        for frame in read_frames(source, limit):
            output = convert(frame, size(*frame.size))
            sizes.append(output.size)
            watch(len(sizes), len(animation.durations))
            yield output if animation.pages else _with_opacity(output)

    encode_frames(target, converted(), animation, quality)
    return *sizes[0], len(sizes)


def _with_opacity(frame: Picture) -> Picture:
    """A frame as the encoders of animations want all of them alike: RGB and opacity. Some decoders give opacity only
    where there is some."""
    opaque = np.full(frame.pixels.shape[:2], frame.kind.top, frame.pixels.dtype)
    pixels, metadata = frame.colors(), dataclasses.replace(frame.metadata, palette=None)
    if frame.kind.channels == 1 and frame.metadata.icc and not frame.metadata.palette:
        pixels, metadata = grey_as_rgb(frame.pixels, metadata)
    return Picture(pixels, opaque if frame.alpha is None else frame.alpha, metadata)
