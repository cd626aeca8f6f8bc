"""What a user sees while training: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from advtasks.reporting.times import duration
from advtasks.training.progress import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_live_line_that_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    console = Console(stream)
    console.show("x" * 50)
    console.say("stays")
    console.show("y" * 50, last=True)
    assert stream.getvalue() == "x" * 19 + "\r\x1b[2K" + "stays\n" + "y" * 50 + "\n"


def test_elsewhere_lines_are_plain_and_few() -> None:
    stream = io.StringIO()
    console = Console(stream, every=3600)
    for step in range(5):
        console.show(f"step {step}", last=step == 4)
    console.watch("decoding", 3, 3)
    assert stream.getvalue() == "step 0\nstep 4\ndecoding: 3/3\n"


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.4, 59, 61, 3725)] == ["0 s", "59 s", "1:01", "1:02:05"]
