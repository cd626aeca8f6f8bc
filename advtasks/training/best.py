"""The best validation of a stage: what papers report, beside the last one, which is what one gets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from advtasks.errors import UsageError, did_you_mean
from advtasks.evaluation.runner import Evaluation
from advtasks.task import Metric


def chosen_metric(name: str | None, metrics: Sequence[Metric]) -> str | None:
    """The metric that ``--keep-best`` names; without a name the task's first one.

    Raises:
        UsageError: the task has no such metric.
    """
    names = [metric.name for metric in metrics]
    if name is not None and name not in names:
        raise UsageError(f"--keep-best {name}: {did_you_mean(name, names)}")
    return name or next(iter(names), None)


def first_examples(result: Evaluation, count: int) -> dict[str, float]:
    """The means over the first `count` examples alone, so that all validations of a stage compare the same ones."""
    examples = result.examples[:count]
    return {name: sum(e.metrics[name] for e in examples) / len(examples) for name in result.means}


@dataclass
class Best:
    """The best value of each metric in a stage, with its step, and how long the chosen one has not improved."""

    metrics: Sequence[Metric]
    chosen: str | None
    values: dict[str, tuple[float, int]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    without: int = 0
    """Validations since the chosen metric was best."""

    def restart(self) -> None:
        """A new stage."""
        self.values, self.last, self.without = {}, {}, 0

    def note(self, step: int, means: Mapping[str, float]) -> bool:
        """Take one more validation; whether the chosen metric is the best so far."""
        improved = False
        self.last = dict(means)
        for metric in self.metrics:
            if metric.name not in means:
                continue
            value, before = means[metric.name], self.values.get(metric.name)
            if math.isnan(value):
                continue
            better = before is None or (value > before[0] if metric.higher_is_better else value < before[0])
            if better:
                self.values[metric.name] = (value, step)
            worst = -math.inf if metric.higher_is_better else math.inf  # which is worth keeping for nobody
            improved |= better and metric.name == self.chosen and value != worst
        self.without = 0 if improved else self.without + int(self.chosen in means)
        return improved

    def summary(self) -> dict[str, dict[str, float | None]]:
        """By metric: the last value, the best one, its step, and last / best."""
        return {
            name: {"last": self.last[name], "best": value, "step": step, "ratio": _ratio(self.last[name], value)}
            for name, (value, step) in self.values.items()
            if name in self.last
        }

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"values": dict(self.values), "last": dict(self.last), "without": self.without}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.values = {name: (value, step) for name, (value, step) in state["values"].items()}
        self.last, self.without = dict(state["last"]), state["without"]


def _ratio(last: float, best: float) -> float | None:
    """None where it says nothing: JSON knows no infinity."""
    if last == best:
        return 1.0
    return last / best if best and math.isfinite(last) else None
