"""Pictures inside larger files, as paths: a tar shard or a Hugging Face data set on disk is a folder of pictures.

Both are read at random places, without unpacking, so resuming is as exact as with single files. Imports no torch.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import posixpath
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from advtasks.errors import DataError


class Store(Protocol):
    """Where the bytes are. Small, and can be pickled for loader processes."""

    @property
    def place(self) -> Path:
        """The file or folder that exists."""

    @property
    def mark(self) -> str:
        """Another one when contents change that keep their sizes; empty where sizes tell."""

    def read(self, key: Any) -> bytes:
        """The bytes of one picture."""


class StoredFile(type(Path())):  # type: ignore[misc]
    """A path to a file inside another: it has a name, a folder and a suffix, and can be opened for reading.

    What is derived from it (``parent``, ``relative_to``) is lexical and cannot be opened.
    """

    def __new__(cls, path: Path, store: Store, key: Any, size: int) -> StoredFile:
        made: StoredFile = super().__new__(cls, path)
        made.store, made.key, made.size = store, key, size
        return made

    if sys.version_info >= (3, 12):

        def __init__(self, path: Path, store: Store, key: Any, size: int) -> None:
            super().__init__(path)

    else:

        @classmethod
        def _from_parsed_parts(cls, *parts: Any) -> Path:
            """A plain path, as :meth:`with_segments` gives later."""
            plain: Path = type(Path())._from_parsed_parts(*parts)  # type: ignore[attr-defined]
            return plain

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """A plain path."""
        return Path(*segments)

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredFile, (Path(str(self)), self.store, self.key, self.size)

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """For reading bytes."""
        if mode != "rb":
            raise OSError(f"{self}: a file inside another is only read")
        return io.BytesIO(self.store.read(self.key))

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """It does."""
        return True

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """It is."""
        return True

    def read_bytes(self) -> bytes:
        """All of it."""
        return self.store.read(self.key)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Of the file that it lies in, with its own size."""
        values = list(self.store.place.stat(follow_symlinks=follow_symlinks))
        values[6] = self.size
        return os.stat_result(values)


@dataclass(frozen=True)
class TarShard:
    """A tar archive, not compressed: webdataset's shards."""

    place: Path
    mark = ""

    def read(self, key: tuple[int, int]) -> bytes:
        """The bytes at an offset, of a length."""
        offset, length = key
        with self.place.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def files(self) -> list[StoredFile]:
        """Its members, as the archive names them.

        Raises:
            DataError: it is no tar archive, or is cut off.
        """
        try:
            with tarfile.open(self.place, "r:") as archive:
                members = archive.getmembers()
                ends_at = archive.offset
            with self.place.open("rb") as file:
                file.seek(ends_at)
                mark = file.read(tarfile.BLOCKSIZE)
            found = self._stored(members)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{self.place}: not a whole tar archive ({error}); unpack it, or remove it") from error
        if mark != bytes(tarfile.BLOCKSIZE):  # tarfile ends silently at a header that is damaged or cut off
            raise DataError(
                f"{self.place}: damaged or cut off after {len(found)} files, at byte {ends_at}: neither a file nor "
                "the mark of the end is there; make it anew, or remove it"
            )
        return found

    def _stored(self, members: list[tarfile.TarInfo]) -> list[StoredFile]:
        named = {posixpath.normpath(member.name): member for member in members}
        found = []
        for member in named.values():  # of one that is there twice the last holds
            if member.isdir() or any(part.startswith(".") for part in Path(member.name).parts):
                continue
            file = _meant(member, named)
            key = (file.offset_data, file.size) if file else (0, 0)  # a link to nowhere is told as an empty file
            found.append(StoredFile(self.place / member.name.lstrip("/"), self, key, key[1]))
        return found


def _meant(member: tarfile.TarInfo, named: dict[str, tarfile.TarInfo]) -> tarfile.TarInfo | None:
    """The file itself, or the one that a link leads to; None where that is not in the archive."""
    for _ in named:
        if member.isfile():
            return member
        beside = posixpath.dirname(member.name) if member.issym() else ""
        other = named.get(posixpath.normpath(posixpath.join(beside, member.linkname)))
        if other is None:
            return None
        member = other
    return None


@dataclass(frozen=True)
class ArrowDataset:
    """A data set that Hugging Face's ``datasets`` wrote with ``save_to_disk``."""

    place: Path
    column: str
    mark: str = ""
    """Of ``state.json``, which holds the fingerprint that ``datasets`` gave it."""

    def read(self, key: int) -> bytes:
        """The encoded picture of a row."""
        value = _rows(self.place, self.column, self.mark)[key][self.column]
        return picture_bytes(value, self.place, f"row {key} of the column {self.column!r}")

    @staticmethod
    def is_here(folder: Path) -> bool:
        """Whether a folder is one, by its files."""
        return (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()

    @staticmethod
    def files(folder: Path) -> list[StoredFile]:
        """A picture for each row of each column of pictures, named by column and row.

        Raises:
            DataError: the package ``datasets`` is missing, or there is no column of pictures.
        """
        found, mark = [], hashlib.blake2b((folder / "state.json").read_bytes(), digest_size=16).hexdigest()
        for column in _picture_columns(folder, mark):
            store = ArrowDataset(folder, column, mark)
            count = len(_rows(folder, column, mark))
            digits = len(str(count))
            found += [StoredFile(folder / column / f"{row:0{digits}}.png", store, row, 1) for row in range(count)]
        return found


def picture_bytes(value: dict[str, Any] | None, folder: Path, where: str = "a row") -> bytes:
    """Of an undecoded value of an image column: the bytes in it, or those of the file that it names.

    Raises:
        DataError: there is none in `where`.
    """
    if value is not None and value.get("bytes") is not None:
        return bytes(value["bytes"])
    if value is None or value.get("path") is None:
        raise DataError(f"{folder}: {where} holds no picture")
    return (folder / value["path"]).read_bytes()


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "this folder is a Hugging Face data set: pip install 'advtasks[datasets]' to read it"
        ) from error
    return datasets


@functools.cache
def _loaded(folder: Path, mark: str) -> Any:
    """`mark`: another data set may be saved in the same folder."""
    datasets = _datasets()
    try:
        return datasets.load_from_disk(str(folder))
    except IndexError:  # of no parts
        raise DataError(f"{folder}: the data set has no rows") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: a Hugging Face data set that cannot be read ({error}); save it again") from error


def _picture_columns(folder: Path, mark: str) -> list[str]:
    kind, loaded = _datasets().Image, _loaded(folder, mark)
    if not len(loaded):
        raise DataError(f"{folder}: the data set has no rows")
    columns = [name for name, feature in loaded.features.items() if isinstance(feature, kind)]
    if not columns:
        raise DataError(f"{folder}: the data set has no column of pictures (its columns: {', '.join(loaded.features)})")
    return columns


@functools.cache
def _rows(folder: Path, column: str, mark: str) -> Any:
    return _loaded(folder, mark).select_columns([column]).cast_column(column, _datasets().Image(decode=False))


def archived_files(path: Path) -> Sequence[StoredFile] | None:
    """The files inside a tar archive; None for any other file."""
    return TarShard(path).files() if path.suffix.lower() == ".tar" and path.is_file() else None


def rows_of(folder: Path) -> Sequence[StoredFile] | None:
    """The pictures of a data set; None for any other folder."""
    return ArrowDataset.files(folder) if ArrowDataset.is_here(folder) else None
