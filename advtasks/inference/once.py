"""What a user is told, each thing once."""

from __future__ import annotations

from collections.abc import Callable


def once(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, but for what it was told before: what is true of many pictures is a line, not thousands."""
    said: set[str] = set()

    def told(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return told
