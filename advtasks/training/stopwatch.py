"""Time spent training, with validation, previews and checkpoints taken out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Runs from its making; :meth:`lap` gives the seconds since the last lap, pauses not counted."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._paused = 0.0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count what happens inside."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._paused += time.monotonic() - start

    def lap(self) -> float:
        """Seconds since the last lap; begins a new one."""
        now = time.monotonic()
        seconds = now - self._began - self._paused
        self._began, self._paused = now, 0.0
        return seconds
