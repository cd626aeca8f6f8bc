"""Names of classes beside label maps: ``classes.txt``, ``labels.json`` or ``labels.csv``. Imports no torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advtasks.errors import DataError

_TITLES = {"name", "names", "label", "labels", "class", "classes"}


def read_names(folder: Path) -> tuple[str, ...]:
    """The names in the order of their numbers: ``classes.txt`` has a line for each, ``labels.json`` a list or names by
    number, ``labels.csv`` numbers and names in any order, with or without a header. None given: none.

    Raises:
        DataError: a file that cannot be read; the message names it.
    """
    readers = {"classes.txt": _lines, "labels.json": _json, "labels.csv": _csv}
    for name, reader in readers.items():
        path = folder / name
        if not path.is_file():
            continue
        try:
            return reader(path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: names of classes must be UTF-8 ({error})") from None
        except (ValueError, csv.Error) as error:  # those of JSON are ValueErrors
            raise DataError(f"{path}: cannot be read as names of classes ({error})") from None
    return ()


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _json(text: str) -> tuple[str, ...]:
    found: Any = json.loads(text)
    if isinstance(found, list):
        return tuple(map(str, found))
    if not isinstance(found, dict):
        raise ValueError("neither a list of names nor names by number")
    wrong = [key for key in found if not key.strip().isdecimal()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no number of a class")
    return _by_number({int(key): str(name) for key, name in found.items()})


def _csv(text: str) -> tuple[str, ...]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    numbered = {}
    for row in rows:
        numbers = [cell for cell in row if cell.isdecimal()]
        names = [cell for cell in row if not cell.isdecimal()]
        if numbers and names:  # a header has no number
            numbered[int(numbers[0])] = names[0]
    if numbered:
        return _by_number(numbered)
    return _plain([row[-1] for row in rows])


def _plain(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[1:] if names and names[0].lower() in _TITLES else names)


def _by_number(names: Mapping[int, str]) -> tuple[str, ...]:
    """Numbers without a name are their own."""
    if names and max(names) > 65535:
        raise ValueError(f"{max(names)} is no number of a class")
    return tuple(names.get(number, str(number)) for number in range(max(names, default=-1) + 1))
