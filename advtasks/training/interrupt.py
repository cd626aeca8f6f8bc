"""Ctrl-C and termination: finish the step, write a checkpoint, leave."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType, TracebackType

SAME = 20.0 if "LOCAL_RANK" in os.environ else 1.0
"""Seconds within which a second signal is the first one again: a launcher passes on what the terminal sent to all,
after a while, and kills in the end."""


class Interrupt:
    """While entered, the first SIGINT or SIGTERM only sets :attr:`requested`; a later second one stops at once."""

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._at = 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread: somebody else's program, who handles signals himself
                break
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is None:
            self.requested, self._at = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._at > SAME:
            raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
