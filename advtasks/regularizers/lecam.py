"""LeCam regularization (Tseng et al. 2021)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import relu

from advtasks.distributed import batch_mean
from advtasks.regularizers.regularizer import Regularizer, Scored


def lecam(
    real_logits: Tensor,
    fake_logits: Tensor,
    anchor_real: Tensor,
    anchor_fake: Tensor,
    form: Literal["paper", "official"] = "paper",
) -> Tensor:
    """``E (C(r) - α_F)² + E (C(f) - α_R)²``, α the moving averages of the logits (eq. 4).

    ``official`` is the authors' code, which squares ``relu(C(r) - α_F)`` and ``relu(α_R - C(f))``.
    """
    above, below = real_logits - anchor_fake, anchor_real - fake_logits
    if form == "official":
        above, below = relu(above), relu(below)
    return above.square().mean() + below.square().mean()


class LeCam(Regularizer):
    """LeCam regularization; see :func:`lecam`. The moving averages are buffers, over the batch of all ranks.

    When to use: limited data, with ``hinge`` or ``wasserstein``-like losses. Watch that the logit gap stays bounded.

    Args:
        decay: of the moving averages, per critic step.
        start: critic steps after which the term begins; until then only the averages move.
    """

    name: ClassVar[str] = "lecam"
    batch_statistics: ClassVar[bool] = True
    uses_outputs: ClassVar[bool] = True

    def __init__(
        self,
        weight: float = 0.1,
        decay: float = 0.99,
        start: int = 0,
        form: Literal["paper", "official"] = "paper",
    ) -> None:
        super().__init__()
        self.weight, self.decay, self.start = weight, decay, start
        self.form: Literal["paper", "official"] = form
        self.register_buffer("anchors", torch.zeros(2))
        self.register_buffer("steps", torch.zeros(()))

    def discriminator_term(self, scored: Scored) -> Tensor:
        """Move the averages, then the term, weighted."""
        real, fake = scored.real.logits, scored.fake.logits
        anchors, steps = self.get_buffer("anchors"), self.get_buffer("steps")
        with torch.no_grad():
            now = torch.stack((batch_mean(real), batch_mean(fake))).to(anchors)
            anchors.copy_(torch.where(steps == 0, now, torch.lerp(now, anchors, self.decay)))
            steps.add_(1)
            kept = anchors.clone()  # the buffer moves before backward is done
        return self.weight * lecam(real, fake, kept[0], kept[1], self.form) * (steps > self.start)
