"""Consistency: the critic's opinion should not change with what changes nothing (CR, bCR, zCR)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from advtasks.distributed import draw_rows
from advtasks.errors import UsageError
from advtasks.regularizers.input_gradient import Critic, full_precision, precise, values
from advtasks.regularizers.regularizer import Regularizer, Scored


def flip_and_shift(pictures: Tensor, most: int = 4) -> Tensor:
    """Each picture (N, C, H, W) flipped with probability ½ and moved by up to `most` pixels, edges reflected: the
    augmentation of CR-GAN (Zhang et al. 2020, section 3.2)."""
    count, _, height, width = pictures.shape
    most = min(most, height - 1, width - 1)
    device = pictures.device
    flipped = torch.where(draw_rows(torch.rand, count, 1, 1, 1, device=device) < 0.5, pictures.flip(3), pictures)
    shift = (draw_rows(torch.rand, count, 2, device=device) * (2 * most + 1)).long()
    rows = shift[:, :1] + torch.arange(height, device=device)
    columns = shift[:, 1:] + torch.arange(width, device=device)
    padded = pad(flipped, (most, most, most, most), mode="reflect")
    each = torch.arange(count, device=device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def consistency(critic: Critic, one: Tensor, other: Tensor, condition: Tensor | None = None) -> Tensor:
    """``E (C(x) - C(x'))²`` for two forms of the same samples (Zhang et al. 2020, eq. 4)."""
    both = None if condition is None else torch.cat((condition, condition))
    with full_precision(one):
        first, second = values(critic, torch.cat((one, other)), both).chunk(2)
    return (first - second).square().mean()


class ConsistencyRegularization(Regularizer):
    """CR: λ E (C(r) - C(T(r)))² on real pictures, T flips and shifts (Zhang et al. 2020, eq. 4).

    When to use: small sets, where the critic learns pictures by heart; cheaper than a gradient penalty.

    Raises:
        UsageError: the samples are no pictures, or share a picture condition.
    """

    name: ClassVar[str] = "cr"
    per_sample: ClassVar[bool] = True

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight = weight

    def _term(self, scored: Scored, sample: Tensor) -> Tensor:
        if sample.dim() != 4:
            raise UsageError(f"{self.name} flips and shifts pictures; these samples have shape {tuple(sample.shape)}")
        if scored.condition is not None and scored.condition.dim() == 4:
            raise UsageError(f"{self.name} would tear pictures from their picture condition; use r1 or augments")
        sample = precise(sample)
        return self.weight * consistency(scored.critic, sample, flip_and_shift(sample), scored.condition)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The term, weighted."""
        return self._term(scored, scored.judged.real)


class BalancedConsistencyRegularization(ConsistencyRegularization):
    """bCR: CR on real and on generated pictures (Zhao et al. 2021, algorithm 1).

    When to use: instead of CR, which lets the generator learn the augmentation's artefacts.
    """

    name: ClassVar[str] = "bcr"

    def discriminator_term(self, scored: Scored) -> Tensor:
        """Both terms, weighted."""
        return self._term(scored, scored.judged.real) + self._term(scored, scored.judged.fake)


class LatentConsistencyRegularization(Regularizer):
    """zCR: critic λ_d E (C(G(z)) - C(G(z+ε)))², generator -λ_g E min(‖G(z) - G(z+ε)‖², bound), the distance as a mean
    over values, ε ~ N(0, σ²) (Zhao et al. 2021, algorithm 2). The paper's generator term has no bound; without one it
    can fall for ever.

    When to use: with ``bcr`` (together: ICR), for tasks whose generator takes noise.
    """

    name: ClassVar[str] = "zcr"
    phases: ClassVar = ("discriminator", "generator")

    def __init__(
        self,
        discriminator_weight: float = 5.0,
        generator_weight: float = 0.5,
        sigma: float = 0.05,
        bound: float = 1.0,
        interval: int = 1,
    ) -> None:
        super().__init__(interval)
        self.discriminator_weight, self.generator_weight = discriminator_weight, generator_weight
        self.sigma, self.bound = sigma, bound

    def _neighbour(self, latent: Tensor) -> Tensor:
        noise = draw_rows(torch.randn, *latent.shape, device=latent.device).to(latent)
        return latent + self.sigma * noise

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The critic's part, weighted."""
        latent, synthesize = scored.latent()
        with torch.no_grad():  # both by the generator as it is now: that of the step's fakes may have learned since
            one, other = synthesize(latent), synthesize(self._neighbour(latent))
        return self.discriminator_weight * consistency(scored.critic, precise(one), precise(other), scored.condition)

    def generator_term(self, scored: Scored) -> Tensor:
        """The generator's part, weighted and bounded."""
        latent, synthesize = scored.latent()
        moved = (scored.judged.fake - synthesize(self._neighbour(latent))).flatten(1).square().mean(1)
        return -self.generator_weight * moved.clamp(max=self.bound).mean()
