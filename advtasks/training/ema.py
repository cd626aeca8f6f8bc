"""Exponential moving average of the generator (Karras et al. 2018; Yazıcı et al. 2019)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """A copy of a network whose parameters follow it with a half-life counted in images; buffers are copied.

    Args:
        network: followed.
        half_life: images after which an old value counts half. 0: the copy equals the network.
        ramp: the half-life is at most this share of the images seen since :meth:`restart`, so that early, poor
            weights are forgotten (stylegan2's ramp).
    """

    def __init__(self, network: nn.Module, half_life: float, ramp: float = 0.05) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.half_life = half_life
        self.ramp = ramp
        self.images = 0

    def restart(self) -> None:
        """Begin a new ramp: what is learned from now on replaces what was before."""
        self.images = 0

    def decay(self, batch: int, rate: float = 1.0) -> float:
        """The weight of the old value for a step of `batch` images: 0.5^(batch / half-life), the half-life times
        `rate`, the learning rate relative to its start: slower weights need less averaging."""
        half_life = min(self.half_life * rate, self.images * self.ramp)
        return 0.5 ** (batch / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, network: nn.Module, batch: int, rate: float = 1.0) -> None:
        """Follow `network` after a step on `batch` images."""
        self.images += batch
        weight = 1.0 - self.decay(batch, rate)
        own: list[Tensor] = list(self.network.parameters())
        theirs: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(own, theirs, weight)
        buffers: list[Tensor] = list(self.network.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(network.buffers()))
