"""Critics that look at whether sample and condition match: GAN-CLS (Reed et al. 2016) and MA-GP (Tao et al. 2022)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from advtasks.discriminators import criticize_again
from advtasks.distributed import draw_rows, gather
from advtasks.errors import UsageError
from advtasks.regularizers.input_gradient import Critic, input_gradients, squared_norm
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.task import View
from advtasks.wide import at_least_float32


def surely_wrong(
    condition: Tensor, pool: Tensor, identity: Tensor | None, pool_identity: Tensor | None, limit: float = 0.9
) -> Tensor:
    """Where a condition of `pool` cannot be right for a row (N, M): it belongs to another sample, and is of another
    class, or its embedding has a cosine similarity below `limit`. An embedding of zeros, which is that of no text, is
    right for all. Arguments as for :func:`mismatched_partners`."""
    if condition.is_floating_point():
        wrong = normalize(at_least_float32(condition), dim=1) @ normalize(at_least_float32(pool), dim=1).T < limit
        wrong &= condition.any(1)[:, None] & pool.any(1)
    else:
        wrong = condition[:, None] != pool[None]
    if identity is not None and pool_identity is not None:
        wrong = wrong & (identity[:, None] != pool_identity[None])
    return wrong


def mismatched_partners(
    condition: Tensor, pool: Tensor, identity: Tensor | None, pool_identity: Tensor | None, limit: float = 0.9
) -> tuple[Tensor, Tensor]:
    """For each row a partner in `pool` whose condition is :func:`surely_wrong` for it, at random. So neither the same
    picture nor an equal or nearly equal caption is ever called wrong, which rolling the batch by one does.

    Args:
        condition: (N,) int64 or (N, E) floats.
        pool: (M,) or (M, E), what to draw from.
        identity, pool_identity: (N,) and (M,) numbers of the samples, or None where each row is a sample of its own
            (equal conditions are still never mismatched).

    Returns:
        Indices into the pool (N,), and whether there was an admissible partner (N,); where not, they mean nothing.
    """
    admissible = surely_wrong(condition, pool, identity, pool_identity, limit)
    chance = draw_rows(torch.rand, *admissible.shape, device=condition.device)
    return torch.where(admissible, chance, -1.0).argmax(1), admissible.any(1)


def matching_aware_penalty(
    critic: Critic, real: Tensor, condition: Tensor, weight: float = 2.0, power: float = 6.0
) -> Tensor:
    """``k E ‖∇_(x, e) C(x, e)‖^p`` at real samples with their own conditions, the norm over both gradients together, as
    in DF-GAN's code (Tao et al. 2022, eq. 3, adds the two norms)."""
    of_sample, of_condition = input_gradients(critic, real, condition, of_condition=True)
    return weight * (squared_norm(of_sample) + squared_norm(of_condition)).pow(power / 2).mean()


class MatchingAware(Regularizer):
    """GAN-CLS: real samples with a wrong condition are fakes, too. With D the critic's loss, it becomes
    ``(1 - share) D(real, fake) + share D(real, mismatched)`` (Reed et al. 2016, algorithm 1: share ½); see
    :func:`mismatched_partners`. Rows without an admissible partner are left out of the second part and counted:
    ``matching/without-partner`` in the log; where none has one, it is D(real, fake) whole.

    When to use: text and class conditions, where fidelity to the condition matters.

    Raises:
        UsageError: the share is not between 0 and 1, or the critic is given neither a class nor an embedding.
    """

    name: ClassVar[str] = "matching-aware"
    uses_outputs: ClassVar[bool] = True

    def __init__(self, share: float = 0.5, limit: float = 0.9) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise UsageError(f"matching-aware: share must lie between 0 and 1, got {share}")
        self.share_of_loss, self.limit = share, limit
        self.without_partner: Tensor | None = None

    def observed(self) -> dict[str, Tensor]:
        """The share of rows that had no admissible partner."""
        return {} if self.without_partner is None else {"matching/without-partner": self.without_partner}

    def discriminator_term(self, scored: Scored) -> Tensor:
        """D(real, mismatched), mean over the rows that have a partner."""
        judged, condition = scored.judged, scored.condition
        if condition is None or condition.dim() == 4:
            raise UsageError("matching-aware needs a critic that is given a class or an embedding as condition")
        identity = None if judged.identity is None else gather(judged.identity)
        pool = gather(condition)
        partner, found = mismatched_partners(condition, pool, judged.identity, identity, self.limit)
        wrong = criticize_again(scored.critic, judged.real, scored.real, pool[partner])
        self.without_partner = (~found).float().mean()
        nobody = ~gather(found).any()
        found, wrong = found | nobody, torch.where(nobody, scored.fake.logits.to(wrong), wrong)
        # one value for each row, so that rows can be left out without asking the device how many they are
        each = torch.vmap(scored.loss.discriminator)(scored.real.logits, wrong)
        return (each * found).sum() / gather(found.float()).mean().clamp(min=1 / len(pool)) / len(found)


class MatchingAwarePenalty(Regularizer):
    """MA-GP; see :func:`matching_aware_penalty`.

    When to use: with ``hinge`` and ``matching-aware`` on text embeddings (DF-GAN). Runs on any device.

    Raises:
        UsageError: the critic is given no condition.
    """

    name: ClassVar[str] = "ma-gp"
    second_order: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True

    def __init__(self, weight: float = 2.0, power: float = 6.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight, self.power = weight, power

    def apply_to(self, discriminator: torch.nn.Module, view: View) -> torch.nn.Module:
        """Check the condition.

        Raises:
            UsageError: it is no embedding.
        """
        if not view.embedding:
            raise UsageError("ma-gp needs an embedding as condition, and this task shows none")
        return super().apply_to(discriminator, view)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        if scored.condition is None:
            raise UsageError("ma-gp needs a critic that is given its condition: conditioning concat or projection")
        return matching_aware_penalty(scored.critic, scored.judged.real, scored.condition, self.weight, self.power)
