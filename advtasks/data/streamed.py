"""Data that is decoded when it is needed, of any size: nothing is decoded before its turn, and what cannot be used is
passed over."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from advtasks.causes import said
from advtasks.data.loader import Batch, Position
from advtasks.data.stored import StoredFile
from advtasks.errors import DataError

_log = logging.getLogger(__name__)

ATTEMPTS = 20
"""Items that may be unusable one after the other."""


class PassingOver(Dataset[Batch]):
    """The items of a data set. One that raises a DataError of one file is named once and another one drawn in its
    place, so a step is still a function of seed and position.

    Args:
        items: takes a :class:`~advtasks.data.loader.Position`; has a length.
    """

    def __init__(self, items: Dataset[Batch]) -> None:
        self.items = items
        self._named: set[str] = set()

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]

    def __getitem__(self, position: Position) -> Batch:
        error: DataError | None = None
        first = position.index
        for attempt in range(ATTEMPTS):
            if attempt:
                jump = int(np.random.default_rng((position.seed, attempt)).integers(len(self)))
                position = dataclasses.replace(position, index=(first + jump) % len(self))
            try:
                return self.items[position]
            except DataError as found:
                if not found.of_one_file:
                    raise
                error = found
                if str(error) not in self._named:
                    self._named.add(str(error))
                    _log.warning("skipped  %s", error)
        raise DataError(f"{ATTEMPTS} pictures in a row cannot be used; the last one: {error}")


def identities(paths: Sequence[Path], folder: Path) -> list[str]:
    """A number for each file out of its place in `folder`, its size, and what its store says of its contents: for
    holding out and for telling whether the data changed, without reading it. One elsewhere is known by its whole path.

    Raises:
        DataError: a file is gone.
    """
    return [hashlib.blake2b(_known_by(path, folder).encode(), digest_size=16).hexdigest() for path in paths]


def _known_by(path: Path, folder: Path) -> str:
    place = path.relative_to(folder) if path.is_relative_to(folder) else path
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({said(error)})") from error
    mark = path.store.mark if isinstance(path, StoredFile) else ""
    return f"{place.as_posix()}/{size}" + f"/{mark}" * bool(mark)
