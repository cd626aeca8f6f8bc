"""Where a trainer's numbers go: the trackers, and a line for the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from advtasks.causes import said
from advtasks.config import StageConfig
from advtasks.evaluation.runner import Evaluation
from advtasks.reporting.times import duration
from advtasks.task import Metric
from advtasks.trackers import JsonLines, Tracker
from advtasks.training.progress import Console


class Recorder:
    """Trackers and console of one run."""

    def __init__(self, trackers: list[Tracker], console: Console) -> None:
        self.trackers, self.console = trackers, console  # the list itself: the run opens them later

    def train(
        self, step: int, stage: StageConfig, place: tuple[int, int], means: dict[str, float], speed: float, batch: int
    ) -> None:
        """Training numbers since the last record: terms, rates and times by name; `place` in the stage is steps done
        and steps in all, `speed` in steps per second."""
        done, steps = place
        self._record({"kind": "train", "step": step, "stage": stage.name, **means, "images_per_s": speed * batch})
        left = (steps - done) / speed
        quiet = ("learning_rate/", "gradient-norm/", "accuracy/", "seconds/", "memory_gib")
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in means.items() if not name.startswith(quiet))
        self.console.show(
            f"step {step}  {stage.name} {done}/{steps}  {speed * batch:.1f} images/s  "
            f"{duration(left)} left in stage  {numbers}",
            last=done == steps,
        )

    def validation(
        self, step: int, stage: str, result: Evaluation, metrics: Sequence[Metric], count: int, seconds: float
    ) -> None:
        """What a validation measured, and how long it took."""
        values = {"kind": "validation", "step": step, "stage": stage, **result.means, "n": count, "seconds": seconds}
        self._record(values)
        shown = "  ".join(
            f"{m.label} {result.means[m.name]:.4g}{m.unit and ' ' + m.unit}" for m in metrics if result.means
        )
        self.console.say(f"step {step}  validation on {count}: {shown}")

    def baseline(self, step: int, stage: str, seconds: float) -> None:
        """How long measuring the baseline took, before `stage` began or went on."""
        self._record({"kind": "baseline", "step": step, "stage": stage, "seconds": seconds})

    def singular_value(self, step: int, stage: StageConfig, view: str, layer: str, value: float) -> None:
        """The largest spectral norm among a critic's layers."""
        self._record(
            {"kind": "critic", "step": step, "stage": stage.name, "view": view, "layer": layer, "singular-value": value}
        )

    def warn(self, step: int, stage: str, text: str) -> None:
        """Something that the user should see, now and in the report."""
        self._record({"kind": "warning", "step": step, "stage": stage, "text": text})
        self.console.say(f"step {step}  monitor: {text}")

    def rewind(self, step: int) -> None:
        """Forget what was recorded after `step`."""
        self._each(step, lambda tracker: tracker.rewind(step))

    def _record(self, record: dict[str, Any]) -> None:
        self._each(record["step"], lambda tracker: tracker.record(record))

    def _each(self, step: int, work: Callable[[Tracker], None]) -> None:
        """On all trackers. One of a package that fails is told and left out from then on; a full disk may have room
        again later."""
        for tracker in list(self.trackers):
            try:
                work(tracker)
            except OSError as error:
                self.console.say(f"warning: step {step} could not be recorded ({error}); training goes on")
            except Exception as error:
                if isinstance(tracker, JsonLines):  # the run's own record: a fault of ours
                    raise
                self.trackers.remove(tracker)
                name = type(tracker).__name__
                self.console.say(
                    f"warning: step {step}: the tracker {name} failed ({said(error)}) and is left out from now on"
                )
