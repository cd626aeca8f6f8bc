"""One pass of the critic that serves both phases, where they are updated simultaneously."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from advtasks.discriminators import CriticOutput
from advtasks.main_path import MainPath
from advtasks.regularizers import Scored
from advtasks.task import Judged


class SharedPass:
    """What the generator's phase leaves to the critic's phase of the same step."""

    def __init__(self) -> None:
        self._left: tuple[Judged, Scored] | None = None

    def leave(self, main: MainPath, shown: Judged, scored: Scored) -> tuple[CriticOutput, CriticOutput]:
        """What the critic says of real samples and fakes, for the generator: its gradient goes back through the pass
        to ``scored.judged.fake`` and leaves it whole for :meth:`take`. No gradient reaches the critic.

        Args:
            shown: the samples, by which the critic's phase will ask.
            scored: the same as the critic sees them.
        """
        judged = scored.judged.detached()
        picture = judged.fake.requires_grad_()
        real = main(judged.real, scored.condition)  # apart: the generator's way back is through the fakes alone
        fake = main(picture, scored.condition)
        if torch.is_grad_enabled():  # else there is nothing to go back through
            self._left = shown, dataclasses.replace(scored, judged=judged.detached(), outputs=(real, fake))
        outputs = [fake.logits, *fake.features]
        logits, *features = _Through.apply(scored.judged.fake, picture, outputs)
        return CriticOutput(real.logits.detach(), _plain(real.features)), CriticOutput(logits, features)

    def __deepcopy__(self, memo: Any) -> SharedPass:
        """Without a pass: it belongs to the original's critic."""
        return SharedPass()

    def take(self, shown: Judged) -> Scored | None:
        """The pass over these very tensors, once; None where it was over others, or a condition of its own."""
        left, self._left = self._left, None
        if left is None or any(
            getattr(left[0], name) is not getattr(shown, name) for name in ("fake", "real", "condition")
        ):
            return None
        return left[1]


class _Through(torch.autograd.Function):
    """The values of a pass whose graph another phase will need again."""

    @staticmethod
    def forward(ctx: FunctionCtx, fake: Tensor, picture: Tensor, outputs: list[Tensor]) -> tuple[Tensor, ...]:
        """`outputs` were computed from `picture`, which is `fake` without its graph. In a list autograd does not see
        them, and does not free what they hold."""
        ctx.picture, ctx.outputs = picture, outputs  # type: ignore[attr-defined]
        ctx.set_materialize_grads(False)
        return tuple(_plain(outputs))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        """To `fake`."""
        used = [pair for pair in zip(ctx.outputs, gradients, strict=True) if pair[1] is not None]
        if not used:
            return None, None, None
        outputs, wanted = zip(*used, strict=True)
        (gradient,) = torch.autograd.grad(outputs, ctx.picture, wanted, retain_graph=True)
        return gradient, None, None


def _plain(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach() for tensor in tensors]
