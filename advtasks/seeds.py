"""Seeds as people write them. Imports no torch."""

from __future__ import annotations

from advtasks.errors import UsageError

_MOST = 1_000_000


def parse_seeds(text: str) -> list[int]:
    """Numbers out of ``0-7`` or ``0,3,5-6``, each once.

    Raises:
        UsageError: it is neither, or they are too large or too many.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and (not last.isdecimal() or int(last) < int(first))):
            raise UsageError(f"--seeds {text}: write numbers and ranges, for example 0-7 or 0,3,5-6")
        if int(last or first) >= 2**63 or len(found) + int(last or first) - int(first) >= _MOST:
            raise UsageError(f"--seeds {text}: seeds are below 2^63, and at most {_MOST:,} of them are taken")
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))
