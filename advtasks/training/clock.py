"""Where the time goes: waiting for data, each network's phase, penalties, evaluation; and the memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch


class Clock:
    """Sums seconds by name; what is measured within another name is not counted there. On a GPU it leaves events in the
    queue and reads them in :meth:`take`, so that timing waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._within: list[str] = []
        self._events: list[tuple[str, str | None, torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def measure(self, name: str, on_device: bool = True) -> Iterator[None]:
        """Add the time within to `name`; with `on_device` that of the device, else of this thread."""
        outer = self._within[-1] if self._within else None
        self._within.append(name)
        try:
            if self.device.type == "cuda" and on_device:
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                start.record()
                try:
                    yield
                finally:
                    end.record()
                    self._events.append((name, outer, start, end))
                return
            began = time.perf_counter()
            try:
                yield
            finally:
                self._count(name, outer, time.perf_counter() - began)
        finally:
            self._within.pop()

    def _count(self, name: str, outer: str | None, seconds: float) -> None:
        self.seconds[name] += seconds
        if outer is not None:
            self.seconds[outer] -= seconds

    def take(self) -> dict[str, float]:
        """The seconds by name since the last call."""
        if self._events:
            self._events[-1][3].synchronize()
        for name, outer, start, end in self._events:
            self._count(name, outer, start.elapsed_time(end) / 1000)
        self._events.clear()
        found = dict(self.seconds)
        self.seconds.clear()
        return found


def peak_memory(device: torch.device) -> float:
    """The most memory so far, in GiB: of the device on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM"):  # ru_maxrss begins with what the parent process had
            return int(line.split()[1]) / 2**20
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**30 if sys.platform == "darwin" else used / 2**20
