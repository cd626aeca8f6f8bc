"""Finding pictures in folders. Imports neither torch nor Pillow."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from advtasks.causes import said
from advtasks.data.stored import archived_files, rows_of
from advtasks.errors import DataError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".gif"})
_OF_THE_DISK = {"lost+found", "System Volume Information", "$RECYCLE.BIN"}
"""Folders of file systems, which nobody may read."""
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip", ".7z", ".rar")


@dataclass(frozen=True)
class Found:
    """The files of a folder: pictures by their extension, and everything else. Sorted by path."""

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]

    def none_in(self, folder: Path) -> str:
        """What is wrong with a folder without pictures, and what might be meant."""
        others = f" ({len(self.others)} files of other kinds)" if self.others else ""
        packed = next((path.name for path in self.others if path.name.lower().endswith(_COMPRESSED)), None)
        way = f"; {packed} is compressed, where no picture can be found by itself: unpack it, or make it a plain .tar"
        return f"{folder}: no pictures found{others}; sub-folders were searched, too{way if packed else ''}"


def find_pictures(folder: Path, inside: bool = True) -> Found:
    """All files below `folder`, sub-folders included; hidden files and folders are passed over.

    Args:
        inside: tar archives and Hugging Face data sets are folders of what they hold (:mod:`advtasks.data.stored`).

    Raises:
        DataError: the folder does not exist or is not a folder, or one in it cannot be read.
    """
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file, and a folder of pictures is needed: give the one that it lies in")
    pictures: list[Path] = []
    others: list[Path] = []
    for path in _files(folder, inside):
        (pictures if path.suffix.lower() in EXTENSIONS else others).append(path)
    return Found(tuple(sorted(pictures)), tuple(sorted(others)))


def key_of(path: Path, folder: Path) -> str:
    """A name within a folder without its suffix, its letters :func:`composed`."""
    return composed(path.relative_to(folder).with_suffix("").as_posix())


def composed(name: str) -> str:
    """With letters and their accents as one character each: file systems and archives differ in that."""
    return unicodedata.normalize("NFC", name)


def ambiguous(one: Path, other: Path) -> str:
    """What is wrong with two files of one key."""
    return f"{one} and {other} have the same name: which one is meant is not clear"


def _unreadable(error: OSError) -> None:
    """Its pictures would be missing without a word; one that has gone meanwhile has none."""
    if isinstance(error, FileNotFoundError):
        return
    raise DataError(f"{error.filename}: the folder cannot be read ({said(error)})") from error


def _files(folder: Path, inside: bool) -> Iterator[Path]:
    seen: set[str] = set()  # links may lead back up, and come after the folders beside them
    for parent, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        if inside and (stored := rows_of(Path(parent))) is not None:
            folders.clear()
            yield from stored
            continue
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        shown = [name for name in folders if not name.startswith(".") and name not in _OF_THE_DISK]
        folders[:] = sorted(shown, key=lambda name: (Path(parent, name).is_symlink(), name))
        for name in names:
            if not name.startswith("."):
                path = Path(parent) / name
                yield from archived_files(path) or (path,) if inside else (path,)


def fingerprint(path: Path) -> str:
    """Content hash of a file (BLAKE2b, 128 bits, hexadecimal).

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({said(error)})") from error


def hold_out(fingerprints: Sequence[str], share: float = 0.2, most: int = 40) -> set[str]:
    """The fingerprints of the pictures to validate on: `share` of them, at least one, at most `most`.

    The choice depends on the pictures' contents only, not on names or order, so that adding pictures moves few;
    equal pictures always fall on the same side. A single picture is not held out.
    """
    distinct = sorted(set(fingerprints))
    if len(distinct) < 2:
        return set()
    return set(distinct[: min(most, max(1, round(share * len(distinct))))])
