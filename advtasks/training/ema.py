"""Exponential moving average of the generator (Karras et al. 2018; Yazıcı et al. 2019)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

GRAIN = 0.02
"""The average follows once so many half-lives have passed: nearer points of the way of the weights are nearly the same,
and a pass over 54 M of them takes 34 ms (benchmarks/results/train_avx2.json)."""


class MovingAverage:
    """A copy of a network whose parameters follow it with a half-life counted in images; buffers are copied.

    Args:
        network: followed.
        half_life: images after which an old value counts half. 0: the copy equals the network, and is made when it is
            asked for.
        ramp: the half-life is at most this share of the images seen since :meth:`restart`, so that early, poor
            weights are forgotten (stylegan2's ramp).
    """

    def __init__(self, network: nn.Module, half_life: float, ramp: float = 0.05) -> None:
        self._network = copy.deepcopy(network).requires_grad_(False)
        self._ahead: nn.Module | None = None
        self.half_life = half_life
        self.ramp = ramp
        self.images = self.waiting = 0

    @property
    def network(self) -> nn.Module:
        """The average; its parameters are not to be trained."""
        if self._ahead is not None:
            self._follow(self._ahead, 1.0)
        return self._network

    def restart(self) -> None:
        """Begin a new ramp: what is learned from now on replaces what was before."""
        self.images = self.waiting = 0

    def decay(self, batch: int, rate: float = 1.0) -> float:
        """The weight of the old value for a step of `batch` images: 0.5^(batch / half-life), the half-life times
        `rate`, the learning rate relative to its start: slower weights need less averaging."""
        half_life = self._half_life(rate)
        return 0.5 ** (batch / half_life) if half_life > 0 else 0.0

    def _half_life(self, rate: float) -> float:
        return min(self.half_life * rate, self.images * self.ramp)

    def update(self, network: nn.Module, batch: int, rate: float = 1.0) -> None:
        """Follow `network` after a step on `batch` images, once :data:`GRAIN` half-lives have passed."""
        self.images += batch
        self.waiting += batch
        if not self.half_life:
            self._ahead = network
        elif self.waiting >= GRAIN * self._half_life(rate):
            self._follow(network, 1.0 - self.decay(self.waiting, rate))
            self.waiting = 0

    def state(self) -> dict[str, int]:
        """For a checkpoint, beside the average's weights."""
        return {"images": self.images, "waiting": self.waiting}

    def load(self, state: dict[str, int]) -> None:
        """Go on within the ramp."""
        self.images, self.waiting = state["images"], state["waiting"]

    @torch.no_grad()
    def _follow(self, network: nn.Module, weight: float) -> None:
        own: list[Tensor] = list(self._network.parameters())
        theirs: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(own, theirs, weight)
        buffers: list[Tensor] = list(self._network.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(network.buffers()))
