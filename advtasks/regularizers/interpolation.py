"""GAN-INT: fakes of conditions between those of the batch (Reed et al. 2016, section 4.3)."""

from __future__ import annotations

from typing import ClassVar

import torch

from advtasks.discriminators import criticize
from advtasks.distributed import draw_rows, gather
from advtasks.errors import UsageError
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.task import View


class ConditionInterpolation(Regularizer):
    """``λ · L_G(C(G(z, β e₁ + (1 - β) e₂), β e₁ + (1 - β) e₂))`` for embeddings e₁ of a row and e₂ of a random row of
    the whole batch, in the generator's phase alone (Reed et al. 2016, eq. 5: β = ½). The critic needs no captions for
    what lies between two, and is never trained on it. One more pass of generator and critic.

    When to use: text conditions of small sets, with ``matching-aware`` (GAN-INT-CLS). Its fakes pass no augments.

    Raises:
        UsageError: the share is not between 0 and 1, or the critic is given no condition.
    """

    name: ClassVar[str] = "gan-int"
    phases: ClassVar = ("generator",)
    uses_outputs: ClassVar[bool] = True
    uses_real_output: ClassVar[bool] = True

    def __init__(self, weight: float = 1.0, share: float = 0.5) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise UsageError(f"gan-int: share must lie between 0 and 1, got {share}")
        self.weight, self.share = weight, share

    def apply_to(self, discriminator: torch.nn.Module, view: View) -> torch.nn.Module:
        """Check the condition.

        Raises:
            UsageError: it is no embedding.
        """
        if not view.embedding:
            raise UsageError("gan-int lies between two embeddings, and this task shows none as condition")
        return super().apply_to(discriminator, view)

    def generator_term(self, scored: Scored) -> torch.Tensor:
        """The term, weighted."""
        condition, synthesize = scored.condition, scored.judged.synthesize_under
        if condition is None or synthesize is None:
            raise UsageError(
                "gan-int needs a critic that is given its condition, and a generator under other conditions "
                "(Task.embedding, or Judged.synthesize_under in a loop of your own)"
            )
        pool = gather(condition)
        draws = draw_rows(torch.rand, len(condition), 1, device=condition.device)[:, 0]
        between = torch.lerp(pool[(draws * len(pool)).long()], condition, self.share)
        logits = criticize(scored.critic, synthesize(between), between).logits
        real = scored.real.logits if scored.loss.needs_real else None
        return self.weight * scored.loss.generator(logits, real)
