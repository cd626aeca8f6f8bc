"""Captions in tables: JSON lines, CSV and TSV, with a column of files and one of captions. Imports no torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from advtasks.data.captioned import Reading
from advtasks.data.listing import few
from advtasks.data.named_pictures import NamedPictures
from advtasks.data.table_rows import DELIMITERS, SUFFIXES, read_rows
from advtasks.data.text_file import read_text
from advtasks.errors import DataError

_FILES = ("file_name", "filename", "image", "image_name", "image_path", "path", "file", "img")
_CAPTIONS = ("text", "caption", "captions", "texts", "prompt", "description", "sentence", "comment")


class _Row(NamedTuple):
    table: Path
    number: int
    file: str
    captions: list[str]


def read_tables(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Reading:
    """The captions of ``metadata`` tables, or of all others if there is none of that name with captions.

    Raises:
        DataError: a table has the columns and is broken, by table and row.
    """
    beside = {path.with_suffix("") for path in pictures}
    tables = [path for path in others if _is_table(path, beside)]
    rows: list[_Row] = []
    passed: list[str] = []
    used: list[str] = []
    for table in sorted(tables, key=lambda path: path.stem != "metadata"):
        if any(name.startswith("metadata.") for name in used) and table.stem != "metadata":
            break
        try:
            columns, found = _with_columns(table)
        except _Unknown as error:
            passed.append(str(error))
            continue
        if columns is not None:
            used.append(table.name)
            rows += [_row(table, number, cells, columns) for number, cells in found]
        elif found:
            named = ", ".join(str(name).strip() for name in found[0][1] if name is not None)
            passed.append(f"{table.name}: has no columns of files and captions, but {named[:80]}")
    name = f"table {', '.join(used)}"
    places = NamedPictures(folder, pictures).find([(row.table, row.file) for row in rows])
    pairs = [(path, row.captions) for row, path in zip(rows, places, strict=True) if path is not None]
    lost = [row for row, path in zip(rows, places, strict=True) if path is None]
    if lost and not pairs:
        passed.append(none_there(name, [row.file for row in lost]))
    return Reading(name, pairs, [f"{row.file} ({row.table.name}, row {row.number})" for row in lost], passed)


def none_there(table: str, files: Sequence[str]) -> str:
    """For a table of other pictures than the folder's."""
    different = list(dict.fromkeys(files))
    return f"{table}: none of its {len(different)} files is there: {few(different, 3)}"


class _Unknown(DataError):
    """A file is broken before its columns say that it is about captions."""


def _is_table(path: Path, beside: set[Path]) -> bool:
    """By the ending; a text file, which belongs to no picture, by its first line."""
    if path.suffix.lower() != ".txt":
        return path.suffix.lower() in SUFFIXES
    if path.with_suffix("") in beside:
        return False
    try:
        with path.open("rb") as file:
            header = file.readline(1000).decode("utf-8-sig", errors="replace")
    except OSError:
        return False
    return _delimiter(header) is not None


def _delimiter(header: str) -> str | None:
    """What stands between the columns of files and captions, if the line names them."""
    for delimiter in DELIMITERS:
        names = next(csv.reader([header.strip()], delimiter=delimiter), [])
        if _columns(dict.fromkeys(names)) is not None:
            return delimiter
    return None


def _with_columns(table: Path) -> tuple[tuple[str, str] | None, list[tuple[int, dict[str, Any]]]]:
    """The columns of files and captions, if there are such, and all rows."""
    columns, rows = None, []
    try:
        for number, row in _rows(table):
            columns = columns or _columns(row)
            rows.append((number, row))
            if columns is None and table.suffix.lower() != ".jsonl":
                break
    except DataError as error:
        if columns is None and table.stem != "metadata":
            raise _Unknown(str(error)) from None
        raise
    return columns, rows


def _rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    usual = "\t" if table.suffix.lower() == ".tsv" else ","
    return read_rows(table, _delimiter(read_text(table).partition("\n")[0]) or usual)


def _columns(row: dict[str, Any]) -> tuple[str, str] | None:
    names = {str(name).strip().casefold(): str(name) for name in row if name is not None}
    file = next((names[name] for name in _FILES if name in names), None)
    text = next((names[name] for name in _CAPTIONS if name in names), None)
    return None if file is None or text is None else (file, text)


def _row(table: Path, number: int, cells: dict[Any, Any], columns: tuple[str, str]) -> _Row:
    extra = cells.get(None, ())
    if any(cell.strip() for cell in extra):
        raise DataError(
            f"{table}: row {number} has {len(cells) - 1 + len(extra)} cells and the header {len(cells) - 1}; "
            'put a caption with a comma or tab in double quotes: "a red, big apple"'
        )
    file, said = (cells.get(column) for column in columns)
    if not isinstance(file, str) or not file.strip():
        raise DataError(f"{table}: row {number} names no file")
    captions = said if isinstance(said, list) else [said]
    for caption in captions:
        if caption is not None and not isinstance(caption, str):
            raise DataError(
                f"{table}: row {number}: {columns[1]} must be a text or a list of texts, not {json.dumps(caption)[:60]}"
            )
    return _Row(table, number, file.strip(), [caption or "" for caption in captions])
