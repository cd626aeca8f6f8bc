"""Feature matching: of each picture with its partner (pix2pixHD), or of the means (improved techniques)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from advtasks.distributed import all_mean
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.wide import at_least_float32

Form = Literal["paired-l1", "mean-l1", "mean-squared"]


def feature_matching(
    real_features: Sequence[Tensor], fake_features: Sequence[Tensor], form: Form = "paired-l1"
) -> Tensor:
    """Distance of features, mean over layers; real features carry no gradient. Equal batches give 0.

    Args:
        form: ``paired-l1``: mean absolute difference of each picture from its partner (Wang et al. 2018, eq. 4);
            ``mean-squared``: ``‖E h(r) - E h(f)‖²`` (Salimans et al. 2016, section 3.1), divided by the number of
            features so that layers weigh alike; ``mean-l1``: its absolute form. Means run over all ranks.
    """
    parts = []
    for real, fake in zip(real_features, fake_features, strict=True):
        one, other = at_least_float32(fake), at_least_float32(real.detach())
        if form != "paired-l1":
            one, other = all_mean(one.mean(0)), all_mean(other.mean(0))
        difference = one - other
        parts.append((difference.square() if form == "mean-squared" else difference.abs()).mean())
    return torch.stack(parts).mean()


class FeatureMatching(Regularizer):
    """A generator term: the critic's features of fakes near those of real samples; see :func:`feature_matching`.

    When to use: ``paired-l1`` where each fake has a real partner (translation, super-resolution, a caption's picture,
    where short trainings find shapes by it and seeds differ less); ``mean-squared`` for noise to image, where it fights
    mode collapse at the price of sharpness.
    """

    name: ClassVar[str] = "feature-matching"
    batch_statistics: ClassVar[bool] = True
    phases: ClassVar = ("generator",)
    uses_outputs: ClassVar[bool] = True
    uses_real_output: ClassVar[bool] = True
    uses_features: ClassVar[bool] = True

    def __init__(self, weight: float = 10.0, form: Form = "paired-l1") -> None:
        super().__init__()
        self.weight = weight
        self.form: Form = form
        self.paired = form == "paired-l1"

    def generator_term(self, scored: Scored) -> Tensor:
        """The distance, weighted, relative to the adversarial weight."""
        return self.weight * feature_matching(scored.real.features, scored.fake.features, self.form)
