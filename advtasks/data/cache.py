"""Decoded pictures, once, in memory-mapped files: random crops cost what a memory copy costs.

Each array is one ``.npy`` file named after the content of its source and the recipe that made it. Runs share them;
files are written atomically, so a kill leaves nothing half-written; the folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from advtasks.atomic import atomic_path, is_temporary
from advtasks.causes import said
from advtasks.data.folder import fingerprint
from advtasks.data.parallel import Watch, in_parallel
from advtasks.errors import AdvtasksError, DataError
from advtasks.pictures.color import in_srgb
from advtasks.pictures.decode import read_picture

_RECENT = 3600.0
"""Seconds within which a use is not noted again."""
VERSION = "2"
"""Raised when decoding changes, so that older files are no longer found (and fall to the size limit)."""

MAPPED = 16384
"""Files that are mapped at a time at most: a system maps some 65,000 and no more (Linux: vm.max_map_count)."""
Array = NDArray[np.uint8]
_NAME = re.compile(r"[0-9a-f]{8,}\..+\.v\w+\.npy")
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([^']+)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}", re.DOTALL
)
"""As ``numpy.save`` writes it. NumPy reads it with Python's parser, which may fail in several threads at once (CPython
3.11: "AST constructor recursion depth mismatch")."""
_TYPES = (np.uint8, np.uint16, np.float32)


def default_folder() -> Path:
    """``$ADVTASKS_CACHE``, or ``advtasks`` in the user's cache folder."""
    if named := os.environ.get("ADVTASKS_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "advtasks" / "pictures"


def decoded(path: Path, as_stored: bool = False) -> Array:
    """(H, W, 3) uint8 of a picture, in sRGB, or `as_stored` whatever its profile.

    Raises:
        DataError: it cannot be read.
    """
    picture = read_picture(path)
    return (picture if as_stored else in_srgb(picture)).rgb8()


class PictureCache:
    """The cache of one run.

    Args:
        folder: where the files are; made when needed.
        limit_gib: the folder is kept below this size by removing what was not used for longest. 0 keeps nothing, and
            leaves what other runs keep.
        watch: told of progress.
    """

    def __init__(self, folder: Path | None = None, limit_gib: float = 50.0, watch: Watch | None = None) -> None:
        self.folder = folder or default_folder()
        self.limit = int(limit_gib * 2**30)
        self.watch: Watch = watch or (lambda what, done, count: None)
        self._used: set[Path] = set()
        self._bytes = 0
        self._contents: dict[Path, tuple[str, tuple[int, float]]] = {}
        self._mapped = functools.lru_cache(MAPPED)(self._opened)

    def __getstate__(self) -> dict[str, Any]:
        """For loader processes, which tell nobody."""
        return {"folder": self.folder, "limit": self.limit, "contents": self._contents}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was made, with what it used yet to be seen."""
        self.__init__(state["folder"])  # type: ignore[misc]
        self.limit, self._contents = state["limit"], state["contents"]

    @property
    def keeps(self) -> bool:
        """Whether anything is kept; if not, data sets are decoded when they are needed."""
        return self.limit > 0

    def content(self, path: Path) -> str:
        """Fingerprint of a file, which is read for it once.

        Raises:
            DataError: it cannot be read.
        """
        if (known := self._contents.get(path)) is None:
            stamp = _stamp(path)
            known = self._contents.setdefault(path, (fingerprint(path), stamp))
        return known[0]

    def of(self, path: Path, recipe: str, make: Callable[[], NDArray[Any]]) -> tuple[str, NDArray[Any]]:
        """Fingerprint of a file, and the array that `recipe` makes of it: see :meth:`array`.

        Raises:
            DataError: it cannot be read, or is another one than when its fingerprint was taken.
        """
        content = self.content(path)

        def unchanged() -> NDArray[Any]:
            if _stamp(path) != self._contents[path][1]:
                raise DataError(f"{path}: has changed since training began")
            return make()

        return content, self.array(content, recipe, unchanged)

    def array(self, content: str, recipe: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array (uint8, uint16 or float32) made by `recipe` from the file with fingerprint `content`, memory-mapped
        and read-only; in memory where nothing is kept. Whoever uses very many takes each when it is needed, since those
        that are held stay mapped: after the first time that costs little (:data:`MAPPED`).

        Raises:
            AdvtasksError: the file cannot be written or mapped.
        """
        if not self.keeps:
            return make()
        if (known := self.known(content, recipe)) is not None:
            return known
        path, made = self._path(content, recipe), make()
        try:
            with atomic_path(path, flush=False) as temporary, temporary.open("wb") as file:
                np.save(file, np.asarray(made, order="C"), allow_pickle=False)
        except OSError as error:
            raise AdvtasksError(
                f"the picture cache cannot be written in {self.folder} ({error}). Free some space, or choose "
                "another folder with --cache DIR or ADVTASKS_CACHE."
            ) from error
        try:
            return self._mapped(content, recipe)
        except RuntimeError as error:
            raise AdvtasksError(
                f"a file of the picture cache was written and cannot be mapped ({error}): give fewer pictures to "
                "measure with, --cache-gib 0, or raise the system's vm.max_map_count"
            ) from error

    def known(self, content: str, recipe: str) -> NDArray[Any] | None:
        """What :meth:`array` would give without making it; None where it is missing or damaged."""
        if not self.keeps:
            return None
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            return self._mapped(content, recipe)
        return None

    def _opened(self, content: str, recipe: str) -> NDArray[Any]:
        path = self._path(content, recipe)
        mapped = _map(path)
        if path not in self._used:
            self._used.add(path)
            self._bytes += mapped.nbytes
        with contextlib.suppress(OSError):  # of another user, or on a disk that is only read
            if path.stat().st_mtime < time.time() - _RECENT:
                os.utime(path)
        return mapped

    def _check(self) -> None:
        if self._bytes > self.limit:
            raise AdvtasksError(
                f"the first {len(self._used)} arrays of these pictures fill the {self.limit / 2**30:.3g} GiB that the "
                f"cache in {self.folder} may hold: raise --cache-gib, or use fewer pictures; training can decode them "
                "each time they are needed, too (--cache-gib 0 --workers N)"
            )

    def _path(self, content: str, recipe: str) -> Path:
        return self.folder / content[:2] / f"{content}.{recipe}.v{VERSION}.npy"

    def rgb8(self, path: Path, as_stored: bool = False) -> tuple[str, Array]:
        """Fingerprint and decoded (H, W, 3) pixels of a picture, in sRGB, or `as_stored` whatever its profile.

        Raises:
            DataError: it cannot be read.
        """
        return self.of(path, "rgb8" if as_stored else "srgb8", lambda: decoded(path, as_stored))

    def load(self, what: str, items: Sequence[Any], work: Callable[[Any], Any]) -> tuple[list[Any], list[DataError]]:
        """:func:`in_parallel`; the cache is pruned afterwards.

        Raises:
            AdvtasksError: all that is used needs more than the limit.
        """

        def within(item: Any) -> Any:
            result = work(item)
            if self.keeps:
                self._check()
            return result

        results, errors = in_parallel(what, items, within, self.watch)
        self.prune()
        return results, errors

    def prune(self) -> None:
        """Remove left-over temporary files, then the arrays unused for longest until they fit the limit.

        Arrays of this run are never removed; one that another run has mapped stays readable to it. What else lies in
        the folder is not the cache's, and stays.
        """
        if not self.keeps or not self.folder.is_dir():
            return
        entries = []
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                if _is_ours(path):
                    entries.append((status.st_mtime, status.st_size, path))
                elif is_temporary(path) and status.st_mtime < time.time() - 3600:
                    path.unlink()
        size = sum(entry[1] for entry in entries)
        for _, bytes_, path in sorted(entries):
            if size <= self.limit:
                break
            if path not in self._used:
                with contextlib.suppress(OSError):  # another user's
                    path.unlink(missing_ok=True)
                    size -= bytes_


def _stamp(path: Path) -> tuple[int, float]:
    """What tells a file from one that took its place, without reading it."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({said(error)})") from error
    return status.st_size, status.st_mtime


def _is_ours(path: Path) -> bool:
    """Whether a file is named as :meth:`PictureCache.array` names them."""
    return _NAME.fullmatch(path.name) is not None and path.name.startswith(path.parent.name) and path.is_file()


def _map(path: Path) -> NDArray[Any]:
    """A ``.npy`` file of bytes, 16-bit numbers or floats, memory-mapped. NumPy's own mapping keeps a file descriptor
    open for each array, and 1024 of them are a usual limit; torch's keeps none.

    Raises:
        ValueError, RuntimeError: the file is damaged.
    """
    with path.open("rb") as file:
        header = _HEADER.match(file.read(256))
    if header is None:
        raise ValueError(f"{path}: not a whole array")
    length, name, columns, sides = header.groups()
    shape = tuple(int(side) for side in sides.split(b",") if side.strip())
    start, by_columns, kind = 10 + int.from_bytes(length, "little"), columns == b"True", np.dtype(name.decode())
    size = start + math.prod(shape) * kind.itemsize
    if by_columns or kind not in _TYPES or path.stat().st_size != size:
        raise ValueError(f"{path}: not a whole array")
    mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).numpy()
    pixels = mapped[start:].view(kind).reshape(shape)
    pixels.flags.writeable = False
    return pixels
