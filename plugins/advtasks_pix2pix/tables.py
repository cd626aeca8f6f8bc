"""Tables of pairs: a column of paths for each side. Imports no torch."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advtasks.data.folder import EXTENSIONS, composed, key_of
from advtasks.data.splits import SPLITS
from advtasks.data.stored import StoredFile
from advtasks.data.table_rows import DELIMITERS, SUFFIXES, read_rows
from advtasks.errors import DataError
from advtasks_pix2pix.pairing import Found, Pairs, a_then_b, split_of, within, words_of

_NAMES_OF_CLASSES = {"labels", "classes"}

Rows = list[tuple[int, dict[str, Any]]]
"""With their numbers."""


def find_table(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs | None:
    """The pairs of all tables with two columns of paths; those named ``metadata`` go before others. None where there is
    no such table.

    Raises:
        DataError: a table that cannot be read.
    """
    candidates = [p for p in others if p.suffix.lower() in SUFFIXES and p.stem not in _NAMES_OF_CLASSES]
    candidates = [path for path in candidates if path.stem == "metadata"] or candidates
    tables = {}
    for path in candidates:
        try:
            rows, columns = _rows(path)
        except DataError:
            if path.stem == "metadata" or len(candidates) == 1:
                raise
            continue  # one of several, which may be about anything
        if columns is not None:
            tables[path] = (rows, columns)
    if not tables:
        return None
    found = Found(ignored=[path for path in others if path not in tables])
    inside = {composed(str(path)): path for path in pictures if isinstance(path, StoredFile)}
    for path, (rows, columns) in tables.items():
        _add(found, folder, path, rows, columns, inside)
    used = {path for files in found.sides.values() for path in files.values()}
    found.ignored += [path for path in pictures if path not in used]
    names = ", ".join(path.name for path in tables)
    a, b = next(iter(tables.values()))[1]
    return found.result("table", f"{names}: A is the column {a!r} and the input, B is {b!r} (--direction BtoA)")


def _add(
    found: Found, folder: Path, table: Path, rows: Rows, columns: tuple[str, str], inside: Mapping[str, Path]
) -> None:
    """`inside`: files of archives, which are not on the disk, by their paths with :func:`composed` letters."""
    said = next((SPLITS[word] for word in words_of(table.stem) if word in SPLITS), None)  # train.csv, val.csv
    for number, row in rows:
        paths = [table.parent / str(row.get(name) or "") for name in columns]
        paths = [inside.get(composed(str(path))) or _as_written(path) for path in paths]
        missing = [path for path in paths if not isinstance(path, StoredFile) and not path.is_file()]
        if missing:
            found.problems.append(f"{table}, row {number}: {missing[0]} does not exist")
            continue
        named = str(row.get("split") or "").lower()
        if named and named not in SPLITS:
            found.problems.append(f"{table}, row {number}: split {named!r} is none of {', '.join(SPLITS)}")
            continue
        split = SPLITS.get(named) or said or split_of(within(paths[1], folder))
        for side, path in zip("AB", paths, strict=True):
            found.add(split, side, f"{key_of(table, folder)} {number:06d}", path)


def _as_written(path: Path) -> Path:
    """With the letters and accents that the file system has for it: some systems take them apart."""
    forms = (Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD"))
    return path if path.is_file() else next((form for form in forms if form.is_file()), path)


def _rows(table: Path) -> tuple[Rows, tuple[str, str] | None]:
    """With the columns of paths, that of A first, by whatever stands between cells."""
    wrong: DataError | None = None
    for delimiter in DELIMITERS[:1] if table.suffix.lower() == ".jsonl" else DELIMITERS:
        try:
            found = read_rows(table, delimiter)
            rows = [(number, {_plain(name): _plain(cell) for name, cell in row.items()}) for number, row in found]
        except DataError as error:  # quotes stand elsewhere than this separator has them
            wrong = wrong or error
            continue
        if (columns := _columns(rows)) is not None:
            return rows, columns
    if wrong is not None:
        raise wrong
    return [], None


def _plain(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def _columns(rows: Rows) -> tuple[str, str] | None:
    first = rows[0][1] if rows else {}
    columns = [name for name in first if name and str(first[name]).lower().endswith(tuple(EXTENSIONS))]
    if len(columns) != 2:
        return None
    return a_then_b(*columns)
