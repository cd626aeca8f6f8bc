"""What a user sees while training: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TextIO


def silent() -> TextIO:
    """A stream that keeps nothing, for all ranks but the first."""
    return Path(os.devnull).open("w")


class Console:
    """Lines that stay, and one live line below them on a terminal.

    Args:
        stream: stderr by default, so that results on stdout can be piped.
        every: seconds between live lines where the stream is not a terminal.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 10.0) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.every = every
        self._shown = False
        self._last = -math.inf

    def say(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        self.stream.write(text + "\n")
        self.stream.flush()

    def show(self, text: str, *, last: bool = False) -> None:
        """Replace the live line; elsewhere a line at most every :attr:`every` seconds, and the last one."""
        if self.live:
            self._wipe()
            width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be wiped
            self.stream.write(text if last else text[:width])
            self._shown = True
            if last:
                self.stream.write("\n")
                self._shown = False
        elif last or time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            self.stream.write(text + "\n")
        self.stream.flush()

    def watch(self, what: str, done: int, count: int) -> None:
        """A bar for work of known length, in the form that the picture cache calls."""
        if not self.live and done < count:
            return self.show(f"{what}: {done}/{count}")
        filled = 24 * done // max(count, 1)
        bar = "━" * filled + "─" * (24 - filled)
        return self.show(f"{what} {bar} {done}/{count}" if self.live else f"{what}: {done}/{count}", last=done == count)

    def _wipe(self) -> None:
        if self._shown:
            self.stream.write("\r\x1b[2K")
            self._shown = False
