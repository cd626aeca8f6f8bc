"""The shape of an augmentation in front of a critic."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor, nn

from advtasks.errors import UsageError
from advtasks.task import Judged

Draws = dict[str, Tensor]


class Augment(nn.Module):
    """A random, differentiable change that real and fake samples pass alike before the critic sees them, in the
    critic's phase and in the generator's: what the critic cannot see it cannot learn by heart, and gradients reach the
    generator through it. State that a resume needs lives in buffers.
    """

    name: ClassVar[str]
    pictures_only: ClassVar[bool] = True
    uses_threshold: ClassVar[bool] = False
    """Whether it needs a loss with a logit above which the critic says "real"."""
    same_in_both_phases: ClassVar[bool] = True
    """Whether the generator's phase sees samples as the critic's phase does; then one pass may serve both."""

    def draw(self, sample: Tensor, step: int) -> Draws:
        """What is random, for samples like these: tensors with a row for each."""
        raise NotImplementedError

    def transform(self, sample: Tensor, draws: Draws) -> Tensor:
        """The changed samples, of the same shape; a function of both arguments, differentiable in the first."""
        raise NotImplementedError

    def transform_condition(self, condition: Tensor, draws: Draws) -> Tensor:
        """A picture condition, moved as the samples are; its colours stay."""
        return condition

    def forward(self, judged: Judged, step: int, paired: bool = False) -> Judged:
        """Real and fake, each with draws of its own; with one draw for both where they are compared pair by pair, or
        share a picture condition, which has to move with them.

        Raises:
            UsageError: the samples are no pictures.
        """
        if self.pictures_only and judged.real.dim() != 4:
            raise UsageError(f"{self.name} changes pictures; these samples have shape {tuple(judged.real.shape)}")
        draws = self.draw(judged.real, step)
        real = self.transform(judged.real, draws)
        condition = judged.condition
        if condition is not None and condition.dim() == 4:
            condition = self.transform_condition(condition, draws)
        elif not paired:
            draws = self.draw(judged.fake, step)
        return dataclasses.replace(judged, real=real, fake=self.transform(judged.fake, draws), condition=condition)

    def observe(self, real_logits: Tensor, threshold: float | None, step: int, images: int) -> dict[str, Tensor]:
        """Look at the detached logits of `images` real samples (all ranks): move the state, and give values to log."""
        return {}
