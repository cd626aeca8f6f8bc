"""Feature matching in the form of pix2pixHD."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from advtasks.errors import UsageError
from advtasks.regularizers.regularizer import Regularizer
from advtasks.task import Judged


def feature_matching(real_features: list[Tensor], fake_features: list[Tensor]) -> Tensor:
    """Mean over layers of the mean absolute difference (Wang et al. 2018, eq. 4); real features carry no gradient."""
    parts = [(fake - real.detach()).abs().mean() for real, fake in zip(real_features, fake_features, strict=True)]
    return torch.stack(parts).mean()


class FeatureMatching(Regularizer):
    """A generator term: the critic's features of generated pictures near those of real ones.

    The critic must have ``features(picture, condition)``, a list of tensors; all critics of advtasks do.
    """

    name: ClassVar[str] = "feature-matching"
    phase: ClassVar[Literal["discriminator", "generator"]] = "generator"

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__()
        self.weight = weight

    def apply_to(self, discriminator: nn.Module) -> None:
        """Check that the critic shows its features.

        Raises:
            UsageError: it does not.
        """
        if not hasattr(discriminator, "features"):
            raise UsageError(
                f"feature-matching needs a discriminator with a method features(picture, condition) -> "
                f"list of tensors; {type(discriminator).__name__} has none"
            )

    def term(self, discriminator: nn.Module, judged: Judged) -> Tensor:
        """The distance, weighted, relative to the adversarial weight."""
        with torch.no_grad():
            real = discriminator.features(judged.real, judged.condition)  # type: ignore[operator]
        fake = discriminator.features(judged.fake, judged.condition)  # type: ignore[operator]
        return self.weight * feature_matching(real, fake)
