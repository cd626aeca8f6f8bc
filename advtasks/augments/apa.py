"""Adaptive pseudo augmentation (Jiang et al. 2021): fakes among the reals."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from advtasks.augments.controller import ControlledAugment
from advtasks.distributed import draw_rows
from advtasks.task import Judged


class AdaptivePseudoAugment(ControlledAugment):
    """In the critic's phase each real sample is replaced by its fake with probability p, which follows the critic's
    overfitting as in :class:`~advtasks.augments.ada.AdaptiveAugment` (section 3.2).

    When to use: small sets of any kind of sample, where pictures should not be warped.
    """

    name: ClassVar[str] = "apa"
    pictures_only: ClassVar[bool] = False
    same_in_both_phases: ClassVar[bool] = False

    def __init__(
        self,
        p: float = 0.0,
        target: float | None = 0.6,
        interval: int = 4,
        speed: float = 500_000.0,
        most: float = 0.8,
    ) -> None:
        super().__init__(p, target, interval, speed, most)

    def forward(self, judged: Judged, step: int, paired: bool = False) -> Judged:
        """Replace reals where the critic learns; the generator's phase (whose fakes have a graph) sees them as they
        are."""
        if judged.fake.requires_grad:
            return judged
        rows = draw_rows(torch.rand, judged.real.shape[0], *[1] * (judged.real.dim() - 1), device=judged.real.device)
        real = torch.where(rows < self.controller.p, judged.fake.to(judged.real), judged.real)
        return dataclasses.replace(judged, real=real)
