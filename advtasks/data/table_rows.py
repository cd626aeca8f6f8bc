"""Rows of tables: JSON lines, and cells with something between them. Imports no torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advtasks.data.text_file import read_text
from advtasks.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".tsv")
DELIMITERS = (",", "\t", ";", "|")


def read_rows(table: Path, delimiter: str = ",") -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows by their columns, numbered from 1, as a reader counts them. More cells than the header has are a list under
    None.

    Raises:
        DataError: broken, by table and row.
    """
    text = read_text(table)
    return _lines(table, text) if table.suffix.lower() == ".jsonl" else _cells(table, text, delimiter)


def _cells(table: Path, text: str, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for number, row in enumerate(reader, 1):
            yield number, row
    except csv.Error as error:
        raise DataError(f"{table}: row {number + 1} is broken ({error}); is a double quote left open?") from None


def _lines(table: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{table}: line {number} is broken, not JSON lines ({error})") from None
            if not isinstance(row, dict):
                raise DataError(f"{table}: line {number} is no JSON object")
            yield number, row
