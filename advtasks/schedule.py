"""A number that may change during a stage: ``0.005`` or ``0@0,0.005@1000`` (value@step, linear between)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from advtasks.errors import UsageError


@dataclass(frozen=True)
class Schedule:
    """Piecewise linear in the step of the current stage; constant before the first knot and after the last."""

    knots: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, text: float | str | Schedule) -> Schedule:
        """Read a number or ``value@step,value@step``.

        Raises:
            UsageError: neither of them, or the steps do not increase.
        """
        if isinstance(text, Schedule):
            return text
        try:
            if isinstance(text, (int, float)) or "@" not in text:
                knots: tuple[tuple[int, float], ...] = ((0, float(text)),)
            else:
                pairs = [part.split("@") for part in text.split(",")]
                knots = tuple((int(step), float(value)) for value, step in pairs)
        except ValueError:
            raise UsageError(f"{text!r} is not a schedule: write 0.005 or 0@0,0.005@1000") from None
        if not all(math.isfinite(value) for _, value in knots):
            raise UsageError(f"{text!r}: the values of a schedule must be finite")
        if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(knots)):
            raise UsageError(f"{text!r}: the steps of a schedule must increase")
        return cls(knots)

    def __call__(self, step: int) -> float:
        """The value at `step` of the stage, counted from 0."""
        first, last = self.knots[0], self.knots[-1]
        if step <= first[0]:
            return first[1]
        if step >= last[0]:
            return last[1]
        for (s0, v0), (s1, v1) in itertools.pairwise(self.knots):
            if s0 <= step < s1:
                return v0 + (v1 - v0) * (step - s0) / (s1 - s0)
        raise AssertionError("unreachable: the knots cover the step")
