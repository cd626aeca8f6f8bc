"""Pictures of several frames: animations (GIF, WebP, APNG, AVIF) and the pages of a TIFF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from advtasks.pictures.decode import check_size, from_pillow, opened, read_open
from advtasks.pictures.picture import Picture

_KINDS = {"GIF", "WEBP", "PNG", "AVIF", "TIFF"}
"""A JPEG may hold more pictures too, but those are thumbnails and depth maps."""
_USUAL_DURATION = 100
"""Milliseconds of a frame that says nothing, as browsers have it."""


@dataclass(frozen=True)
class Animation:
    """How frames follow each other."""

    durations: tuple[int, ...]
    """Milliseconds of each frame; all 0 for pages."""
    loop: int | None
    """How often it is shown in all; 0 is for ever, None where the file does not say."""

    @property
    def pages(self) -> bool:
        """Whether these are pages and no animation."""
        return not any(self.durations)


def read_animation(path: Path, limit: int | None = None) -> Animation | None:
    """The timing of a file's frames; None if it is a single picture.

    Raises:
        DataError: not a picture, or above `limit` pixels.
    """
    with opened(path, limit) as image:
        count = getattr(image, "n_frames", 1)
        if count < 2 or image.format not in _KINDS:
            return None
        if image.format == "TIFF":
            return Animation((0,) * count, None)
        durations = []
        for number in _shown(image, count):
            image.seek(number)
            check_size(path, image.size, limit)
            image.load()  # WebP and AVIF know the duration only then
            durations.append(max(int(image.info.get("duration") or _USUAL_DURATION), 1))
        loop = image.info.get("loop")
        if loop and image.format == "GIF":
            loop += 1  # a GIF counts how often it is shown again
        return Animation(tuple(durations), None if loop is None else int(loop))


def read_frames(path: Path, limit: int | None = None) -> Iterator[Picture]:
    """The frames one after the other, each complete (what earlier frames left standing included).

    Raises:
        DataError: a frame cannot be decoded.
    """
    with opened(path, limit) as image:
        for number in _shown(image, getattr(image, "n_frames", 1)):
            image.seek(number)
            check_size(path, image.size, limit)
            if image.format == "TIFF":
                yield read_open(path, image)
                continue
            image.load()
            frame: Image.Image = image
            if image.mode not in ("RGB", "RGBA", "L", "LA"):
                frame = image.convert("RGBA")
                frame.info = dict(image.info)
            yield from_pillow(frame)


def _shown(image: Image.Image, count: int) -> range:
    """The numbers of the frames; the first picture of a PNG may be for programs that know no animations."""
    return range(1 if image.info.get("default_image") else 0, count)
