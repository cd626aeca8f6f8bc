"""A critic's penalty over a batch in pieces."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from advtasks.pieces import in_pieces
from advtasks.regularizers.regularizer import Regularizer, Scored


def critic_term(regularizer: Regularizer, scored: Scored, pieces: int) -> Tensor | None:
    """The regularizer's term in the critic's phase; where it is a mean over samples, computed in pieces."""
    if pieces == 1 or regularizer.batch_statistics or not regularizer.per_sample:
        return regularizer.discriminator_term(scored)

    def term(real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        judged = dataclasses.replace(scored.judged, real=real, fake=fake)
        value = regularizer.discriminator_term(dataclasses.replace(scored, judged=judged, condition=condition))
        assert value is not None, "a regularizer of single samples has a term for them"
        return value

    rows = (scored.judged.real, scored.judged.fake, scored.condition)
    return torch.stack(in_pieces(term, rows, pieces, [scored.critic], whole_draws=True)).mean()
