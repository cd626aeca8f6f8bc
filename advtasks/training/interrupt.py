"""Ctrl-C and termination: finish the step, write a checkpoint, leave."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType, TracebackType

SAME = 20.0 if "LOCAL_RANK" in os.environ else 1.0
"""Seconds within which a second signal is the first one again: a launcher passes on what the terminal sent to all,
after a while, and kills in the end."""


class Interrupt:
    """SIGINT and SIGTERM of a run: they stop it at once, except within :meth:`deferred`.

    Raises:
        KeyboardInterrupt: on a signal that is not deferred, or comes again.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._deferring = False
        self._at = 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread: somebody else's program, who handles signals himself
                break
        return self

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """While entered, the first signal only sets :attr:`requested`.

        After an error it stays so until the end: a launcher that ends this rank since another one is lost must not
        cut off how this one tells it.
        """
        self._deferring = True
        yield
        self._deferring = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._deferring:
            raise KeyboardInterrupt
        if self.requested is None:
            self.requested, self._at = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._at > SAME:
            raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
