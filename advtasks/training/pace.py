"""How often to validate: at its interval, or less often where that would cost more than its share of the time.

Validation moves no weight and no random number, so a clock may decide when it is made. ``--keep-best`` and
``--early-stopping`` decide by what it measures: with them it is made at its interval, whatever it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advtasks.config import RunConfig


class Pace:
    """Remembers what the last validation cost and how long was trained before it."""

    def __init__(self, config: RunConfig, say: Callable[[str], None]) -> None:
        self.share, self.every, self.say = config.validate_share, config.validate_every, say
        self.fixed = config.keep_best is not None or config.early_stopping > 0
        self.seconds_an_example = 0.0
        self.trained = 0.0
        """Seconds of training before the last validation."""
        self._said = False

    def allows(self, examples: int, trained: float) -> bool:
        """Whether a validation on `examples` is cheap enough after `trained` seconds of training in all."""
        cost = self.seconds_an_example * examples
        if not self.share or cost <= self.share * (trained - self.trained):
            return True
        if not self._said:
            self._said = True
            costly = f"validation every {self.every} steps takes more than {self.share:.0%} of the time"
            self.say(
                f"warning: {costly}, and --keep-best and --early-stopping need it there: raise --validate-every"
                if self.fixed
                else f"{costly}: some are left out (--validate-share 0 makes them all)"
            )
        return self.fixed

    def note(self, examples: int, seconds: float, trained: float) -> None:
        """A validation was made."""
        self.seconds_an_example, self.trained = seconds / max(examples, 1), trained

    def state(self) -> list[float]:
        """For checkpoints."""
        return [self.seconds_an_example, self.trained]

    def load(self, state: Any) -> None:
        """Go on from a checkpoint."""
        self.seconds_an_example, self.trained = state
