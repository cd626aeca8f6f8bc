"""``--profile N``: a trace of a few steps, for chrome://tracing or perfetto.dev."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, schedule

from advtasks.atomic import atomic_path, write_text

TRACE = "trace.json"
WARM_UP = 10
"""Steps before the trace, in which kernels are chosen and memory is taken."""


class _Nothing:
    def step(self) -> None:
        """Not tracing."""


@contextlib.contextmanager
def profiler(steps: int, folder: Path, on_gpu: bool = False) -> Iterator[Any]:
    """Traces `steps` steps after :data:`WARM_UP` into ``folder/trace.json``, and ``folder/operators.txt``, the table
    of the costliest operators. Call ``step()`` after each step. 0 traces nothing. Of a run on a GPU its
    operations are traced, too, and count."""
    if steps == 0:
        yield _Nothing()
        return

    def keep(traced: Any) -> None:
        if traced.step_num < WARM_UP + steps:  # the run was stopped within them: it traces anew when it goes on
            return
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / TRACE) as temporary:
            traced.export_chrome_trace(str(temporary))
        by = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        write_text(folder / "operators.txt", traced.key_averages().table(sort_by=by, row_limit=40) + "\n")

    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # it would log its start and its end to the terminal
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    plan = schedule(wait=WARM_UP - 1, warmup=1, active=steps, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=keep, profile_memory=True) as running:
        yield running
