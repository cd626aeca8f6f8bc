"""The controller of ADA and APA: how far the critic overfits decides how much is changed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.augments.augment import Augment
from advtasks.distributed import batch_mean
from advtasks.errors import UsageError


class OverfittingController(nn.Module):
    """A probability p, moved every `interval` critic steps (Karras et al. 2020a, section 3):
    ``p <- clip(p + sign(E sign(C(r) - threshold) - target) · B · interval / speed, 0, most)``.

    p and the signs since its last move are buffers: a resumed run goes on with them. Nothing is read by the host.

    Args:
        p: at the start.
        target: the share (as E sign, from -1 to 1) of real samples that the critic may call real; None leaves p alone.
        interval: critic steps between moves.
        speed: images for p to go from 0 to 1.
        most: the highest p.

    Raises:
        UsageError: the probability is not within [0, most], the interval below 1, or the speed not above 0.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, p: float, target: float | None, interval: int, speed: float, most: float) -> None:
        super().__init__()
        if not 0 <= p <= most <= 1:
            raise UsageError(f"the probability must satisfy 0 <= p <= most <= 1, got p={p}, most={most}")
        if interval < 1 or speed <= 0:
            raise UsageError(f"interval must be at least 1 and speed above 0, got {interval} and {speed}")
        self.target, self.interval, self.speed, self.most = target, interval, speed, most
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signs", torch.zeros(2))

    @torch.no_grad()
    def observe(self, real_logits: Tensor, threshold: float, step: int, images: int) -> dict[str, Tensor]:
        """Take in the logits of `images` real samples (all ranks); move p at the end of an interval."""
        self.signs += torch.stack((batch_mean((real_logits - threshold).sign()), torch.ones_like(self.p)))
        overfit = self.signs[0] / self.signs[1]
        if self.target is not None and (step + 1) % self.interval == 0:
            move = (overfit - self.target).sign() * (images * self.interval / self.speed)
            self.p.add_(move).clamp_(0, self.most)
            self.signs.zero_()
        return {"p": self.p.clone(), "overfitting": overfit}


class ControlledAugment(Augment):
    """An augmentation whose probability is that of a controller; arguments as there."""

    def __init__(self, p: float, target: float | None, interval: int, speed: float, most: float) -> None:
        super().__init__()
        self.controller = OverfittingController(p, target, interval, speed, most)

    @property
    def uses_threshold(self) -> bool:  # type: ignore[override]
        """Only while p is controlled."""
        return self.controller.target is not None

    def observe(self, real_logits: Tensor, threshold: float | None, step: int, images: int) -> dict[str, Tensor]:
        """Move p."""
        found = self.controller.observe(real_logits, threshold or 0.0, step, images)
        return {f"{self.name}/{name}": value for name, value in found.items()}
