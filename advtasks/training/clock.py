"""Where the time of a step goes: waiting for data, each network's phase, penalties."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

import torch


class Clock:
    """Sums seconds by name. On a GPU it leaves events in the queue and reads them in :meth:`take`, so that timing
    waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def measure(self, name: str, on_device: bool = True) -> Iterator[None]:
        """Add the time within to `name`; with `on_device` that of the device, else of this thread."""
        if self.device.type == "cuda" and on_device:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            try:
                yield
            finally:
                end.record()
                self._events.append((name, start, end))
            return
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began

    def take(self) -> dict[str, float]:
        """The seconds by name since the last call."""
        if self._events:
            self._events[-1][2].synchronize()
        for name, start, end in self._events:
            self.seconds[name] += start.elapsed_time(end) / 1000
        self._events.clear()
        found = dict(self.seconds)
        self.seconds.clear()
        return found


def peak_memory(device: torch.device) -> float:
    """The most memory so far, in GiB: of the device on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes / 2**20 if sys.platform != "darwin" else kibibytes / 2**30
