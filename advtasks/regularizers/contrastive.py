"""Samples and their conditions near each other, and far from those of others (XMC-GAN: Zhang et al. 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from advtasks.discriminators import CriticOutput, pooled
from advtasks.distributed import gather
from advtasks.errors import UsageError
from advtasks.regularizers.matching import surely_wrong
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.task import View
from advtasks.wide import at_least_float32


def contrastive_loss(samples: Tensor, conditions: Tensor, wrong: Tensor, temperature: float = 0.1) -> Tensor:
    """``½ (CE(S, 1..N) + CE(Sᵀ, 1..N))`` with ``S_ij = cos(x_i, e_j) / τ`` (InfoNCE in both directions: Radford et al.
    2021, figure 3): log N where all cosines are equal and all others are wrong.

    Args:
        samples, conditions: (N, E), row by row of each other.
        wrong: (N, N), symmetric: where the condition of column j is surely wrong for row i. Others than the own one
            that may be right are left out of the sums.
    """
    similarity = normalize(samples, dim=1) @ normalize(conditions, dim=1).T / temperature
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    logits = similarity.masked_fill(~(wrong | own), -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


class Contrastive(Regularizer):
    """A linear head on the mean of the critic's deepest features meets the embedding of the condition: real samples in
    the critic's phase, fakes in the generator's (Zhang et al. 2021, eq. 5 and 6; LAFITE: Zhou et al. 2022, eq. 6); see
    :func:`contrastive_loss`. Captions that may be right, too, are not contrasted: see
    :func:`~advtasks.regularizers.mismatched_partners`. Over the whole batch of all ranks.

    When to use: text conditions that the pictures ignore. It starts at the logarithm of the batch and should fall.

    Args:
        weight: of both terms; the generator's is relative to the adversarial weight.
        temperature: τ.
        limit: embeddings of a cosine similarity from this on are not contrasted.

    Raises:
        UsageError: the temperature is not above 0, or there are no embeddings as condition.
    """

    name: ClassVar[str] = "contrastive"
    phases: ClassVar = ("discriminator", "generator")
    uses_outputs: ClassVar[bool] = True
    uses_features: ClassVar[bool] = True
    batch_statistics: ClassVar[bool] = True

    def __init__(self, weight: float = 1.0, temperature: float = 0.1, limit: float = 0.9) -> None:
        super().__init__()
        if temperature <= 0:
            raise UsageError(f"contrastive: temperature must be above 0, got {temperature}")
        self.weight, self.temperature, self.limit = weight, temperature, limit

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Make the head.

        Raises:
            UsageError: the task shows no embedding, or the critic no features.
        """
        discriminator = super().apply_to(discriminator, view)
        if not view.embedding:
            raise UsageError("contrastive needs an embedding as condition, and this task shows none")
        self.head = nn.Linear(discriminator.feature_width, view.embedding)  # type: ignore[arg-type]
        return discriminator

    def _term(self, scored: Scored, output: CriticOutput) -> Tensor:
        judged = scored.judged
        if judged.condition is None:
            raise UsageError("contrastive needs the embeddings as condition: term(fake, real, embeddings)")
        samples = gather(self.head(at_least_float32(pooled(output.features[-1]))))
        conditions = gather(judged.condition)
        identity = None if judged.identity is None else gather(judged.identity)
        wrong = surely_wrong(conditions, conditions, identity, identity, self.limit)
        return self.weight * contrastive_loss(samples, conditions.to(samples), wrong, self.temperature)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The critic's part, weighted."""
        return self._term(scored, scored.real)

    def generator_term(self, scored: Scored) -> Tensor:
        """The generator's part, weighted."""
        return self._term(scored, scored.fake)
