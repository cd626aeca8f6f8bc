"""Sides of a comparison in processes of their own: loaders, threads and allocator of one do not touch the other.

A benchmark script calls :func:`serve` with a side's work when it is started with ``--serve``, and :class:`Elsewhere`
to drive such a process.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Elsewhere:
    """A side in a process of its own, started now.

    Args:
        script: the benchmark.
        arguments: after ``--serve``, which side.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        command = [sys.executable, script, "--serve", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, times: int) -> str:
        """Let it work `times` times; gives its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args} ended")
        return answer

    def seconds(self, times: int) -> float:
        """The time of one call, over `times` calls."""
        return float(self.ask(times).split()[0])

    def peak_mib(self) -> float:
        """The most memory that it had so far."""
        return float(self.ask(0).split()[1])

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def serve(work: Callable[[], object]) -> None:
    """Work as often as each line of the standard input says, and answer with seconds a call and the peak in MiB."""
    for line in sys.stdin:
        times = int(line)
        start = time.perf_counter()
        for _ in range(times):
            work()
        seconds = (time.perf_counter() - start) / max(times, 1)
        print(seconds, peak_mib(), flush=True)


def peak_mib() -> float:
    """Of this process since it began (what getrusage says begins with its parent's peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    return float("nan")
