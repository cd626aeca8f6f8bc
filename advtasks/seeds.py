"""Seeds as people write them. Imports no torch."""

from __future__ import annotations

from advtasks.errors import UsageError


def parse_seeds(text: str) -> list[int]:
    """Numbers out of ``0-7`` or ``0,3,5-6``.

    Raises:
        UsageError: it is neither.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and (not last.isdigit() or int(last) < int(first))):
            raise UsageError(f"--seeds {text}: write numbers and ranges, for example 0-7 or 0,3,5-6")
        found += range(int(first), int(last or first) + 1)
    return found
