"""Instance noise (Sønderby et al. 2017; Arjovsky & Bottou 2017, section 3)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from advtasks.augments.augment import Augment
from advtasks.distributed import draw_rows
from advtasks.errors import UsageError
from advtasks.task import Judged


class InstanceNoise(Augment):
    """``x + σ_t n``, n ~ N(0, I), on real and on fake samples; σ falls linearly to 0 over `steps` of the stage.

    When to use: distributions without overlap, where the critic wins at once; at the start of training.

    Args:
        sigma: at the start, in units of the samples ([0, 1] for pictures).
        steps: after which there is no noise; 0 keeps sigma for ever.

    Raises:
        UsageError: sigma or steps are below 0.
    """

    name: ClassVar[str] = "instance-noise"
    pictures_only: ClassVar[bool] = False

    def __init__(self, sigma: float = 0.1, steps: int = 0) -> None:
        super().__init__()
        if sigma < 0 or steps < 0:
            raise UsageError(f"instance-noise: sigma and steps must be at least 0, got {sigma} and {steps}")
        self.sigma, self.steps = sigma, steps

    def level(self, step: int) -> float:
        """σ_t."""
        return self.sigma * max(1 - step / self.steps, 0.0) if self.steps else self.sigma

    def forward(self, judged: Judged, step: int, paired: bool = False) -> Judged:
        """Both with noise of their own."""
        level = self.level(step)
        if level == 0:
            return judged
        noisy: list[Tensor] = [
            sample + level * draw_rows(torch.randn, *sample.shape, device=sample.device).to(sample)
            for sample in (judged.real, judged.fake)
        ]
        return dataclasses.replace(judged, real=noisy[0], fake=noisy[1])
