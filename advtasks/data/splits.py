"""What is trained on and what is validated on: as the folders of the data say, and never the same. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

SPLITS = {"train": "train", "training": "train", "val": "validation", "valid": "validation",
           "validation": "validation", "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip
"""What the words of names say."""
_NUMBERED = re.compile(r"([a-z]+)[_-]?\d*")
ALL_VALIDATED = "warning: all that is trained on is validated on, too: scores flatter"
Item = TypeVar("Item")


def own_splits(folder: Path, paths: Sequence[Path]) -> dict[str, list[Path]] | None:
    """The paths of ``train``, ``validation`` and ``test``, where the first folders below `folder` are named so
    (``val``, ``test2017``, ``train.tar``); what lies beside these is for training. None unless some are said to be for
    training and some are not: a folder ``test`` alone may be anything.
    """
    splits: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    said: set[str] = set()
    for path in paths:
        parts = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
        split = split_named(parts[0]) if len(parts) > 1 else None
        splits[split or "train"].append(path)
        said |= {split} if split else set()
    return splits if "train" in said and len(said) > 1 else None


def split_named(name: str) -> str | None:
    """The split that the name of a folder or an archive is."""
    match = _NUMBERED.fullmatch(name.casefold().removesuffix(".tar"))
    return SPLITS.get(match[1]) if match else None


def without_validated(
    train: Sequence[Item], content: Callable[[Item], str], validated: Collection[str], notes: list[str]
) -> list[Item]:
    """What is trained on without what is validated on, too, which is said; all of it where nothing else is left."""
    left = [item for item in train if content(item) not in validated]
    same = len(train) - len(left)
    if same and not left:
        notes.append(ALL_VALIDATED)
        return list(train)
    if same:
        notes.append(f"left out of training, since they are validated on: {same}")
    return left
