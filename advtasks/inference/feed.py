"""Rows on their way from the thread that computes them to the one that writes them."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

_DEPTH = 2
"""Blocks that may wait: enough that neither side stands still, few enough that memory stays bounded."""
_END = object()


class Abandoned(Exception):
    """The other side gave up; its own error says why."""


class Feed:
    """A bounded queue that both sides can leave."""

    def __init__(self) -> None:
        self._blocks: queue.Queue[Any] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._closed = threading.Event()

    def put(self, block: NDArray[Any]) -> None:
        """Hand on a block.

        Raises:
            Abandoned: nobody reads any more.
        """
        self._put(block)

    def end(self) -> None:
        """All blocks were put."""
        self._put(_END)

    def fail(self, error: BaseException) -> None:
        """There will be no more: the reader raises :class:`Abandoned` from `error`. Never waits, since it may come of
        Ctrl-C."""
        self._error = error
        with contextlib.suppress(queue.Full):  # else the reader does not wait, and looks after its next block
            self._blocks.put_nowait(_END)

    def close(self) -> None:
        """The reader is done, in one way or another."""
        self._closed.set()

    def __iter__(self) -> Iterator[NDArray[Any]]:
        while True:
            block = self._blocks.get()
            if self._error is not None:
                raise Abandoned from self._error
            if block is _END:
                return
            yield block

    def _put(self, block: Any) -> None:
        while not self._closed.is_set():
            try:
                self._blocks.put(block, timeout=0.05)
            except queue.Full:
                continue
            return
        raise Abandoned
