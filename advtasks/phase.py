"""A phase: one optimiser step of one network within a training step, with its own terms and interval."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

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
    clip_norm: float = 0.0
    """The gradients of all parameters together are shortened to this norm; 0 leaves them."""
    after_backward: Callable[[], None] | None = None
    """Called between the backward pass and everything else, for networks that are shared among ranks."""
    scaler: GradScaler | None = None
    """For float16: the loss is scaled before its backward pass and the gradients back after it, so that small ones
    survive; a step with infinite gradients is skipped and the scale halved (Micikevicius et al. 2018, section 3.2).
    Penalties differentiate the critic in float32 and unscaled; what they contribute to the loss is scaled with it."""

    def due(self, step: int) -> bool:
        """Whether the phase runs at `step`, counted from 0: at the end of each interval."""
        return (step + 1) % self.interval == 0

    def run(self, scene: Scene, before_step: Callable[[Phase[Scene], Terms], None] | None = None) -> Terms:
        """Compute the terms, go backward, average over ranks, call `before_step` (checks), step. Gives the terms.
        Where none has a weight, as while a schedule is at 0, the network stays as it is."""
        terms = self.terms(scene)
        if not any(term.weight for term in terms.values()):
            return terms
        self.optimizer.zero_grad(set_to_none=True)
        loss = total(terms)
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        if self.after_backward is not None:
            self.after_backward()
        average_gradients(self.parameters())
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if before_step is not None:
            before_step(self, terms)
        if self.clip_norm:
            clip_grad_norm_(self.parameters(), self.clip_norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.after is not None:
            self.after()
        return terms

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser trains."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


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
