"""Which picture of a folder is meant by the name that a table gives it. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from advtasks.data.folder import composed
from advtasks.errors import DataError

Named = tuple[Path, str]
"""A table, and a name in it."""


class NamedPictures:
    """Finds the pictures of a folder by what tables call them.

    A name is the path from the table or from the folder; or else the end of one picture's path; or else, where no other
    name means the same picture, the one whose path has the longest end in common with it. A table means all its names
    alike: what is not found as its other names were is not there.
    """

    def __init__(self, folder: Path, pictures: Sequence[Path]) -> None:
        self._folder = folder
        self._exact = {_absolute(path): path for path in pictures}
        self._by_end: dict[tuple[str, ...], list[Path]] = {}  # ends of paths below the folder
        for path in pictures:
            parts = tuple(map(composed, path.parts[len(folder.parts) :]))
            for first in range(len(parts)):
                self._by_end.setdefault(parts[first:], []).append(path)

    def find(self, wanted: Sequence[Named]) -> list[Path | None]:
        """The picture of each table and name; None if it is not there.

        Raises:
            DataError: a name is the end of several pictures' paths.
        """
        tables = {table for table, _ in wanted}
        bases = {table: (_absolute(table.parent), _absolute(self._folder)) for table in tables}
        found: dict[Named, Path] = {}
        for table, name in dict.fromkeys(wanted):
            for base in bases[table]:
                if path := self._exact.get(os.path.normpath(os.path.join(base, composed(name)))):  # noqa: PTH118 (of strings)
                    found[table, name] = path
                    break
        for guess in (self._ending, self._likeliest):
            taken, understood = frozenset(found.values()), {table for table, _ in found}
            open_ = [one for one in dict.fromkeys(wanted) if one[0] not in understood]
            guesses = {one: path for one in open_ if (path := guess(*one, taken=taken))}
            found |= guesses if guess == self._ending else _without_rivals(guesses, taken)
        return [found.get(one) for one in wanted]

    def _ending(self, table: Path, name: str, taken: frozenset[Path]) -> Path | None:
        fitting = self._by_end.get(_parts(name), [])
        if len(fitting) > 1 and not taken.issuperset(fitting):
            raise DataError(f"{table}: {name} may be {fitting[0]} or {fitting[1]}; name the folder in the table, too")
        return fitting[0] if len(fitting) == 1 else None

    def _likeliest(self, table: Path, name: str, taken: frozenset[Path]) -> Path | None:
        parts = _parts(name)
        best = next((some for first in range(len(parts)) if (some := self._by_end.get(parts[first:]))), [])
        return best[0] if len(best) == 1 else None


def _without_rivals(guesses: Mapping[Named, Path], taken: frozenset[Path]) -> dict[Named, Path]:
    """The guesses at pictures that no other name means."""
    names: dict[Path, set[tuple[str, ...]]] = {}
    for (_, name), path in guesses.items():
        names.setdefault(path, set()).add(_parts(name))
    return {one: path for one, path in guesses.items() if path not in taken and len(names[path]) == 1}


def _absolute(path: Path) -> str:
    """Without "..", and without following links."""
    return composed(os.path.abspath(path))  # noqa: PTH100 (which has them)


def _parts(name: str) -> tuple[str, ...]:
    """Of a name with either kind of slash."""
    return tuple(os.path.normpath(composed(name).replace("\\", "/")).split("/"))
