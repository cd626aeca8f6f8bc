"""The first few of many, in messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from advtasks.errors import DataError

MOST = 8
"""That are named."""
CHECK = "; `advtasks data check DIR` lists all"


def few(items: Sequence[object], most: int = MOST) -> str:
    """``a, b and 3 more``; paths by their names."""
    named = ", ".join(item.name if isinstance(item, Path) else str(item) for item in items[:most])
    return named + (f" and {len(items) - most} more" if len(items) > most else "")


def refuse(problems: Sequence[str], what: str, way: str = CHECK) -> None:
    """Nothing where there are no problems.

    Args:
        what: has them: "files do not pair".
        way: to see those that are not named.

    Raises:
        DataError: there are; the message has a line for each of the first.
    """
    if problems:
        more = len(problems) - MOST
        named = [*problems[:MOST], *([f"and {more} more{way}"] if more > 0 else [])]
        raise DataError(f"{len(problems)} {what}:\n  " + "\n  ".join(named))
