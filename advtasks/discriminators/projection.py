"""The projection head (Miyato & Koyama 2018)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from advtasks.discriminators.discriminator import CriticOutput, Discriminator, pooled
from advtasks.errors import UsageError


class ProjectionDiscriminator(Discriminator):
    """``C(x, y) = <e(y), h(x)> · scale + ψ(h(x))`` (eq. 3), h the mean over places of the critic's deepest features.

    Args:
        critic: ψ and h; sees the sample alone.
        classes: of a class condition, or 0.
        embedding: width of an embedding condition, or 0.
        scaling: ``none`` as in the paper; ``sqrt`` divides by the root of the width (StyleGAN2's scaling).

    Raises:
        UsageError: the critic shows no features, or the condition is neither a class nor an embedding.
    """

    def __init__(
        self,
        critic: nn.Module,
        *,
        classes: int = 0,
        embedding: int = 0,
        scaling: Literal["none", "sqrt"] = "none",
    ) -> None:
        super().__init__()
        if not isinstance(critic, Discriminator):
            raise UsageError(f"projection needs a critic with features; {type(critic).__name__} shows none")
        if (classes > 0) == (embedding > 0):
            raise UsageError("projection needs a condition that is either a class or an embedding")
        self.critic = critic
        self.feature_width = critic.feature_width
        self.embed: nn.Module = (
            nn.Embedding(classes, self.feature_width)
            if classes
            else nn.Linear(embedding, self.feature_width, bias=False)
        )
        self.scale = self.feature_width**-0.5 if scaling == "sqrt" else 1.0

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """The critic's logits, moved by how well features and condition agree."""
        if condition is None:
            raise ValueError("a projection critic needs a condition")
        found = self.critic.output(picture)
        agreement = (self.embed(condition) * pooled(found.features[-1])).sum(1) * self.scale
        logits = found.logits + agreement.view(-1, *[1] * (found.logits.dim() - 1))
        return CriticOutput(logits, found.features)
