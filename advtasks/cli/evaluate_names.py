"""What models and folders are called in tables and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from advtasks.errors import UsageError


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The end of each path that tells it from the others: ``a/samples`` and ``b/samples``, or just ``fakes``.

    Raises:
        UsageError: a path is there twice.
    """
    parts = [path.resolve().parts for path in paths]
    for number, own in enumerate(parts):
        if own in parts[:number]:
            raise UsageError(f"{paths[number]} is named twice")
    length = 1
    while len({file_name("/".join(own[-length:])) for own in parts}) < len(parts):
        length += 1
    return ["/".join(part.strip("/") for part in own[-length:]) for own in parts]


def file_name(name: str) -> str:
    """A name as a part of a file's."""
    return name.replace("/", "-")


def beside(target: Path, name: str, several: bool) -> Path:
    """The file for one of several: ``card.json`` becomes ``card-a-samples.json``."""
    return target.with_stem(f"{target.stem}-{file_name(name)}") if several else target
