"""``--dry-run``: what a batch would do, in which size, tiles and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from advtasks.inference.batch import Prepared, Settings, prepare
from advtasks.inference.engine import ImageModel
from advtasks.inference.jobs import Job
from advtasks.inference.results import Result, Summary


def predicted(jobs: Sequence[Job], model: ImageModel, settings: Settings, say: Callable[..., None]) -> Summary:
    """A line for each job through `say`, ``failed=True`` with those that would fail, and the time that all would take,
    from one part of a picture that is computed now. Results that would be written have the status ``planned``."""
    summary, clock = Summary(), _Clock(model)
    for job in jobs:
        try:
            result = _one(prepare(job, model, settings, decode=False), settings, clock, say)
        except Exception as error:  # as when it is done
            result = Result.failure(job.source, error)
            say(result.line(), failed=True)
        summary.results.append(result)
    counts = {status: len(summary.having(status)) for status in ("planned", "skipped", "failed")}
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    seconds = sum(result.seconds for result in summary.results)
    say(f"{said} of {len(jobs)} files, about {seconds:.0f} s in all; nothing was written")
    return summary


def _one(task: Prepared, settings: Settings, clock: _Clock, say: Callable[..., None]) -> Result:
    source = task.job.source
    if task.skipped:
        result = task.left()
        say(result.line())
        return result
    if task.kind is None:
        say(f"{source}: a video; its time is not predicted")
        return Result(source=source, status="planned", target=task.target, message=task.remark)
    kind = task.kind
    tiler = clock.model.tiler(_Promised(kind.width, kind.height), 1 + kind.alpha)
    seconds = tiler.work * (1 + kind.alpha) * task.frames * clock.seconds_a_pixel(task, settings)
    width, height = settings.size.of(kind.width, kind.height)
    frames = f"{task.frames} frames of " if task.frames > 1 else ""
    remark = f" ({task.remark})" if task.remark else ""
    tiles = f"{tiler.tiles} tile" + "s" * (tiler.tiles > 1)
    say(f"{source}: {kind.width}x{kind.height} -> {width}x{height}, {frames}{tiles}, about {seconds:.1f} s{remark}")
    return Result(
        source=source, status="planned", target=task.target, width=width, height=height, frames=task.frames,
        seconds=seconds, message=task.remark,
    )  # fmt: skip


class _Clock:
    """The network's speed, measured once, on the first picture that can be decoded."""

    def __init__(self, model: ImageModel) -> None:
        self.model = model
        self._seconds: float | None = None

    def seconds_a_pixel(self, task: Prepared, settings: Settings) -> float:
        """For an input pixel."""
        if self._seconds is None:
            picture = self.model.read(task.job.source, settings.limit)
            self._seconds = self.model.seconds_a_pixel(self.model.source(picture))
        return self._seconds


@dataclass
class _Promised:
    """A picture of which only the size is known."""

    width: int
    height: int

    def cut(self, top: int, bottom: int, left: int, right: int) -> Any:
        """Never asked for."""
        raise NotImplementedError
