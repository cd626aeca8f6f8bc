"""A phase: one optimiser step of one network within a training step, with its own terms and interval."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn
from torch.optim import Adam, Optimizer

from advtasks.distributed import average_gradients
from advtasks.task import Terms, total

Scene = TypeVar("Scene")
"""What the terms are computed from: a :class:`~advtasks.task.Judged` alone, or a trainer's whole step."""


@dataclass(frozen=True, kw_only=True)
class Phase(Generic[Scene]):
    """Terms, the optimiser that lowers them, and how often.

    Regularizers with an interval above 1 are phases of their own (lazy regularization, Karras et al. 2020,
    appendix B); their terms are already multiplied by the interval.
    """

    name: str
    optimizer: Optimizer
    terms: Callable[[Scene], Terms]
    interval: int = 1
    after: Callable[[], None] | None = None
    """Called after each optimiser step, for constraints on weights."""

    def due(self, step: int) -> bool:
        """Whether the phase runs at `step`, counted from 0: at the end of each interval."""
        return (step + 1) % self.interval == 0

    def run(self, scene: Scene, before_step: Callable[[Phase[Scene], Terms], None] | None = None) -> Terms:
        """Compute the terms, go backward, average over ranks, call `before_step` (checks), step. Gives the terms."""
        terms = self.terms(scene)
        self.optimizer.zero_grad(set_to_none=True)
        total(terms).backward()
        average_gradients(p for group in self.optimizer.param_groups for p in group["params"])
        if before_step is not None:
            before_step(self, terms)
        self.optimizer.step()
        if self.after is not None:
            self.after()
        return terms


def make_adam(module: nn.Module, learning_rate: float, betas: tuple[float, float], lazy: float = 1.0) -> Adam:
    """Fused Adam (Kingma & Ba 2015) over the trainable parameters.

    `lazy` is the correction c for extra lazy steps: learning rate times c, betas to the power c (Karras et al. 2020,
    appendix B).
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return Adam(
        parameters, lr=learning_rate * lazy, betas=(betas[0] ** lazy, betas[1] ** lazy), fused=True
    )  # fused: 6 times faster than the loop on a CPU, too


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Parameters without gradient, so that a generator step neither computes nor stores the critic's gradients."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
