"""What a batch tells its user: a live bar on a terminal, plain lines elsewhere, failures on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from advtasks.inference.jobs import Job
from advtasks.inference.results import AGAIN, Result, Summary

_EVERY = 15.0
"""Seconds between plain lines about one picture."""


class BatchConsole:
    """Lines and progress of one batch. A context manager.

    Args:
        total: files.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.live: Progress | None = None
        self._job: Job | None = None
        self._begun = self._said = 0.0

    def __enter__(self) -> BatchConsole:
        if sys.stderr.isatty():
            self.live = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.files = self.live.add_task("files", total=self.total)
            self.tiles = self.live.add_task("", total=1)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, text: str, *, failed: bool = False) -> None:
        """A line that stays."""
        if self.live is not None:
            self.live.console.print(text, style="red" if failed else None, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr if failed else sys.stdout, flush=True)

    def finished(self, result: Result) -> None:
        """A file is done."""
        self.done += 1
        self.say(f"[{self.done}/{self.total}] {result.line()}", failed=result.status == "failed")
        if self.live is not None:
            self.live.update(self.files, completed=self.done)

    def watch(self, job: Job, done: int, of: int) -> None:
        """Tiles of the file that is computed."""
        if self.live is not None:
            self.live.update(self.tiles, description=job.source.name[:40], completed=done, total=of)
            return
        now = time.monotonic()
        if job is not self._job:
            self._job, self._begun, self._said = job, now, now
        elif now - self._said > _EVERY and done < of:
            self._said = now
            left = (now - self._begun) / max(done - 1, 1) * (of - done)
            print(f"  {job.source.name}: {done} of {of} tiles, about {left:.0f} s left", flush=True)

    def summary(self, summary: Summary, seconds: float) -> None:
        """The last line, and what failed where it would have scrolled away."""
        failed = summary.having("failed")
        if len(summary.results) > 30:
            for result in failed[:20]:
                self.say(result.line(), failed=True)
        parts = [f"{len(summary.having(status))} {status}" for status in ("written", "skipped", "failed")]
        text = ", ".join(parts) + f" in {seconds:.1f} s"
        left = self.total - len(summary.results)
        if summary.stopped:
            text += f"; stopped, {left} not done: {AGAIN}"
        self.say(text)
