"""Between the training loop and its monitor: what is measured when, and who is told."""

from __future__ import annotations

from collections.abc import Mapping

from advtasks.config import RunConfig, StageConfig
from advtasks.distributed import world_size
from advtasks.errors import Diverged
from advtasks.mixture import AnyAdversary
from advtasks.phase import Phase
from advtasks.task import Judged, Term, Terms
from advtasks.training.best import Best
from advtasks.training.monitor import WATCHED, Monitor, batch_diversity, gradient_norm, largest_singular_values
from advtasks.training.recorder import Recorder
from advtasks.training.scene import Scene

ROLL_BACKS = 3
"""The most that a run rolls back by itself."""


class Guard:
    """Watches a run as ``--monitor`` says.

    What costs time is measured once before each record, in the last step of each phase; singular values at validations.
    """

    def __init__(self, config: RunConfig, recorder: Recorder) -> None:
        self.config, self.recorder = config, recorder
        self.monitor = Monitor()

    def watching(self, step: int, interval: int = 1) -> bool:
        """Whether a phase that runs at `step`, and every `interval` steps, runs for the last time before a record."""
        every = self.config.log_every
        return self.config.monitor != "off" and (step + interval) // every > step // every

    def variety(self, judged: Judged) -> Terms:
        """How much the fakes differ, for the log."""
        if len(judged.real) * world_size() < 2:
            return {}
        return {WATCHED: Term(batch_diversity(judged.real, judged.fake.detach()), 0.0)}

    def gradients(self, phase: Phase[Scene]) -> Terms:
        """The gradient norm of a phase that has gone backward, for the log."""
        norm = gradient_norm(phase.parameters())
        if phase.scaler is not None:  # infinite gradients of float16 are skipped and count for nothing
            norm = norm.nan_to_num(nan=0.0, posinf=0.0)
        return {f"gradient-norm/{phase.name}": Term(norm, 0.0)}

    def look(self, step: int, stage: StageConfig, values: Mapping[str, float]) -> None:
        """Say what the monitor sees in the record of a step.

        Raises:
            Diverged: a gradient is far beyond anything before, and the run may roll back.
        """
        if self.config.monitor == "off":
            return
        far = self.monitor.diverged(values)
        for text in ([far] if far else []) + self.monitor.look(values):
            self.recorder.warn(step, stage.name, text)
        if far and self.config.monitor == "rollback":
            raise Diverged(far)

    def look_at_validation(self, step: int, stage: StageConfig, best: Best) -> None:
        """Say when the chosen metric has been clearly worse than its best for a while."""
        if self.config.monitor != "off":
            for text in self.monitor.look_at_validation(best):
                self.recorder.warn(step, stage.name, text)

    def look_at_critics(self, step: int, stage: StageConfig, adversaries: Mapping[str, AnyAdversary]) -> None:
        """Record the largest singular value of each critic, and say where it has grown out of bounds."""
        if self.config.monitor == "off" or not stage.adversary:
            return
        for view, adversary in adversaries.items():
            found = largest_singular_values(adversary.discriminator)
            if found:
                layer, value = max(found.items(), key=lambda item: item[1])
                self.recorder.singular_value(step, stage, view, layer, value)
                for text in self.monitor.look_at_singular_value(view, layer, value):
                    self.recorder.warn(step, stage.name, text)
