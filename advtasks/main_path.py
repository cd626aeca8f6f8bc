"""How the main terms run a critic: as it is, compiled, or a batch in pieces. Penalties always take it as it is."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from advtasks.discriminators import CriticOutput, Discriminator, criticize, judges_alone
from advtasks.phase import frozen
from advtasks.pieces import in_pieces


class MainPath:
    """Called like :func:`~advtasks.discriminators.criticize`, without the critic.

    Args:
        critic: run.
        compile: by ``torch.compile``; a compiled critic has no second derivative, so penalties cannot take it.
        accumulate: pieces in which a batch runs; 1 is the whole batch.
        features: somebody reads them; else those of pieces are not kept, unless the critic judges again by them.
    """

    def __init__(self, critic: nn.Module, compile: bool = False, accumulate: int = 1, features: bool = True) -> None:
        self.critic, self.accumulate = critic, accumulate
        self.joins = judges_alone(critic)
        again = isinstance(critic, Discriminator) and type(critic).rejudge is not Discriminator.rejudge
        kept = features or again or accumulate == 1
        self.plain: Callable[..., CriticOutput] = functools.partial(criticize if kept else _logits_alone, critic)
        self.run = torch.compile(self.plain) if compile else self.plain

    def __call__(self, picture: Tensor, condition: Tensor | None, freeze: nn.Module | None = None) -> CriticOutput:
        """Logits and features. With `freeze` no gradient reaches its parameters."""
        if self.accumulate == 1:
            return self._once(picture, condition, freeze)
        run = functools.partial(self._once, freeze=freeze)
        return _joined(in_pieces(run, (picture, condition), self.accumulate, [self.critic]))

    def both(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[CriticOutput, CriticOutput]:
        """Real and fake, in one pass where the critic judges each sample by itself: fuller batches, and one step of
        spectral norm's power iteration instead of two, as its paper has it."""
        if not self.joins or real.shape != fake.shape:
            return self(real, condition), self(fake, condition)

        def run(real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[CriticOutput, CriticOutput]:
            twice = None if condition is None else torch.cat([condition, condition])
            output = self._once(torch.cat([real, fake]), twice, None)
            logits, features = output.logits.chunk(2), [feature.chunk(2) for feature in output.features]
            first, second = (CriticOutput(logits[side], [feature[side] for feature in features]) for side in (0, 1))
            return first, second

        if self.accumulate == 1:
            return run(real, fake, condition)
        parts = in_pieces(run, (real, fake, condition), self.accumulate, [self.critic])
        return _joined([part[0] for part in parts]), _joined([part[1] for part in parts])

    def _once(self, picture: Tensor, condition: Tensor | None, freeze: nn.Module | None) -> CriticOutput:
        with contextlib.nullcontext() if freeze is None else frozen(freeze):
            return self.run(picture, condition)


def _logits_alone(critic: nn.Module, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
    return CriticOutput(criticize(critic, picture, condition).logits, [])


def _joined(parts: Sequence[CriticOutput]) -> CriticOutput:
    features = [torch.cat(pieces) for pieces in zip(*(part.features for part in parts), strict=True)]
    return CriticOutput(torch.cat([part.logits for part in parts]), features)
