"""Animations and documents of several pages, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from advtasks.errors import DataError
from advtasks.pictures.animation import Animation, read_animation, read_frames
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
) -> tuple[int, int, int]:
    """Pass every frame of a file through `convert`, timing kept; gives width, height and number of frames.

    Args:
        size: the wanted width and height for a frame's.
        watch: called with frames done and frames in all.
        limit: pixels of a frame that are accepted.
        quality: see :func:`advtasks.pictures.encode.encode`.

    Raises:
        DataError: a frame cannot be decoded.
    """
    animation = read_animation(source, limit)
    if animation is None:
        raise DataError(f"{source}: holds a single picture")
    frames: list[Picture] = []
    for frame in read_frames(source, limit):
        frames.append(convert(frame, size(*frame.size)))
        watch(len(frames), len(animation.durations))
    encode_frames(target, _alike(frames, animation), animation, quality)
    return *frames[0].size, len(frames)


def _alike(frames: list[Picture], animation: Animation) -> list[Picture]:
    """Frames of an animation with the same bands: some decoders give opacity only where there is some."""
    if animation.pages or len({frame.kind.bands for frame in frames}) == 1:
        return frames

    def full(frame: Picture) -> Picture:
        opaque = np.full(frame.pixels.shape[:2], frame.kind.top, frame.pixels.dtype)
        pixels = np.repeat(frame.pixels, 3, axis=2) if frame.kind.channels == 1 else frame.pixels
        return Picture(pixels, opaque if frame.alpha is None else frame.alpha, frame.metadata)

    return [full(frame) for frame in frames]
