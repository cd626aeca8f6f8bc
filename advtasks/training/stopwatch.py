"""Time spent training, with validation, previews and checkpoints taken out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from advtasks.devices import wait_for


@dataclass
class Pause:
    """How long it was, once it is over."""

    seconds: float = 0.0


class Stopwatch:
    """Runs from its making; :meth:`lap` gives the seconds since the last lap, pauses not counted."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._paused = 0.0
        self._since: float | None = None
        """When the pause that is going on began."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[Pause]:
        """Do not count what happens inside; afterwards the pause knows its length."""
        pause = Pause()
        self._since = time.monotonic()
        try:
            yield pause
        finally:
            pause.seconds, self._since = time.monotonic() - self._since, None
            self._paused += pause.seconds

    def settled(self, device: torch.device) -> Stopwatch:
        """In a pause: it begins now, and the wait for what a GPU was given before counts as training. Gives a watch for
        what follows."""
        wait_for(device)
        self._since = time.monotonic()
        return Stopwatch()

    def so_far(self) -> float:
        """Seconds of this lap until now; in a pause, until it began."""
        return (time.monotonic() if self._since is None else self._since) - self._began - self._paused

    def pausing(self) -> float:
        """Seconds of the pause that is going on."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def lap(self) -> float:
        """Seconds since the last lap; begins a new one."""
        now = time.monotonic()
        seconds = now - self._began - self._paused
        self._began, self._paused = now, 0.0
        return seconds
