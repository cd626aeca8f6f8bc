"""What ``advtasks data check`` finds out about a folder: every picture is decoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advtasks.atomic import atomic_path
from advtasks.data.folder import find_pictures, fingerprint
from advtasks.data.parallel import in_parallel
from advtasks.errors import DataError
from advtasks.pictures.decode import read_picture
from advtasks.pictures.values import SUFFIXES, read_values

_SHEET = 60
_CELL = 160


@dataclass(frozen=True)
class Checked:
    """A picture that could be decoded."""

    path: Path
    width: int
    height: int
    kind: str
    content: str


@dataclass(frozen=True)
class FolderCheck:
    """All findings about a folder."""

    readable: tuple[Checked, ...]
    unreadable: dict[Path, str]
    """Why, of each file."""
    small: tuple[str, ...]
    duplicates: tuple[str, ...]
    others: tuple[Path, ...]

    def summary(self) -> str:
        """Counts, sizes and kinds in one line."""
        if not self.readable:
            return "no picture can be read"
        sides = sorted(picture.width * picture.height for picture in self.readable)
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(p.kind for p in self.readable).most_common())
        widths, heights = [p.width for p in self.readable], [p.height for p in self.readable]
        return (
            f"{len(self.readable)} pictures, {min(widths)}x{min(heights)} to {max(widths)}x{max(heights)} pixels, "
            f"median {sides[len(sides) // 2] / 1e6:.2f} megapixels; {kinds}"
        )

    def listings(self) -> Iterator[tuple[str, Sequence[object]]]:
        """Titles and items of what a user should look at."""
        for title, items in (
            ("unreadable", tuple(self.unreadable.values())),
            ("small", self.small),
            ("the same content more than once", self.duplicates),
            ("not pictures", self.others),
        ):
            if items:
                yield title, items

    def save_sheet(self, target: Path) -> None:
        """A contact sheet of the first pictures."""
        shown = self.readable[:_SHEET]
        columns = min(10, max(len(shown), 1))
        rows = max(1, math.ceil(len(shown) / columns))
        sheet = Image.new("RGB", (columns * _CELL, rows * _CELL), "white")
        for number, picture in enumerate(shown):
            image = Image.fromarray(_shown(picture.path))
            image.thumbnail((_CELL - 4, _CELL - 4))
            sheet.paste(image, (number % columns * _CELL + 2, number // columns * _CELL + 2))
        with atomic_path(target) as temporary:
            sheet.save(temporary, format="JPEG", quality=88)


def check_folder(folder: Path, min_side: int, watch: Callable[[str, int, int], None]) -> FolderCheck:
    """Decode everything below `folder`.

    Raises:
        DataError: the folder does not exist.
    """
    found = find_pictures(folder)
    readable, errors = in_parallel("decoding pictures", found.pictures, _check, watch)
    decoded = {picture.path for picture in readable}
    by_content: dict[str, list[Path]] = {}
    for picture in readable:
        by_content.setdefault(picture.content, []).append(picture.path)
    return FolderCheck(
        tuple(readable),
        dict(zip((path for path in found.pictures if path not in decoded), map(str, errors), strict=True)),
        tuple(f"{p.path}: {p.width}x{p.height}" for p in readable if min(p.width, p.height) < min_side),
        tuple(" = ".join(map(str, paths)) for paths in by_content.values() if len(paths) > 1),
        found.others,
    )


def _shown(path: Path) -> NDArray[np.uint8]:
    """RGB; the first channel of measurements, from its lowest to its highest value."""
    try:
        return read_picture(path).rgb8()
    except DataError:
        values = np.nan_to_num(read_values(path)[..., 0].astype(np.float64), posinf=0, neginf=0)
        grey = (values - values.min()) / (np.ptp(values) or 1)
        return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2)


def _check(path: Path) -> Checked:
    try:
        picture = read_picture(path)
    except DataError:
        if path.suffix.lower() not in SUFFIXES:
            raise
        values = read_values(path)  # of more channels or another type than pictures have
        height, width, channels = values.shape
        kind = f"of {channels} channel{'s' if channels > 1 else ''} ({values.dtype})"
        return Checked(path, width, height, kind, fingerprint(path))
    kind = "grey" if picture.pixels.shape[2] == 1 else "colour"
    kind += f" {picture.pixels.dtype.itemsize * 8} bit" + (" with transparency" if picture.alpha is not None else "")
    return Checked(path, *picture.size, kind, fingerprint(path))
