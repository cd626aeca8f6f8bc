"""Penalties that hold the critic's slope near or below a constant: WGAN-GP, WGAN-LP, max-GP, DRAGAN."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import relu

from advtasks.distributed import batch_mean, draw_rows, gather
from advtasks.regularizers.input_gradient import Critic, between, input_gradient, norm, precise, squared_norm
from advtasks.regularizers.regularizer import Regularizer, Scored

DraganForm = Literal["paper", "official"]


def wasserstein_gradient_penalty(
    critic: Critic, real: Tensor, fake: Tensor, condition: Tensor | None = None, weight: float = 10.0
) -> Tensor:
    """``λ E (‖∇C(x̂)‖ - 1)²``, x̂ = ε r + (1-ε) f with ε uniform for each sample (Gulrajani et al. 2017, eq. 3)."""
    slopes = norm(input_gradient(critic, between(real, fake), condition))
    return weight * (slopes - 1).square().mean()


def lipschitz_penalty(
    critic: Critic, real: Tensor, fake: Tensor, condition: Tensor | None = None, weight: float = 10.0
) -> Tensor:
    """``λ E max(0, ‖∇C(x̂)‖ - 1)²``, one-sided (Petzka et al. 2018, eq. 8)."""
    return weight * relu(norm(input_gradient(critic, between(real, fake), condition)) - 1).square().mean()


def max_gradient_penalty(
    critic: Critic, real: Tensor, fake: Tensor, condition: Tensor | None = None, weight: float = 1.0
) -> Tensor:
    """``λ max ‖∇C(x̂)‖²`` over the batch of all ranks (Lipschitz GAN: Zhou et al. 2019, eq. 13)."""
    return weight * gather(squared_norm(input_gradient(critic, between(real, fake), condition))).max()


def dragan_penalty(
    critic: Critic,
    real: Tensor,
    condition: Tensor | None = None,
    weight: float = 10.0,
    slope: float = 1.0,
    form: DraganForm = "paper",
    noise: float = 0.1,
) -> Tensor:
    """``λ E (‖∇C(r + δ)‖ - k)²`` around real samples (Kodali et al. 2017, section 2.4).

    Args:
        form: ``paper``: δ ~ N(0, c I), c the variance `noise`²; ``official``, as the authors' code: δ = α · 0.5 ·
            std(r) · U, with U uniform in [0, 1] for each value, α for each sample, std over the whole batch.
        slope: k.
        noise: the standard deviation √c of the paper's form.
    """
    real = precise(real)
    if form == "paper":
        moved = real + noise * draw_rows(torch.randn, *real.shape, device=real.device).to(real)
    else:
        spread = (batch_mean(real.square()) - batch_mean(real).square()).clamp(min=0).sqrt()
        alpha = draw_rows(torch.rand, real.shape[0], *[1] * (real.dim() - 1), device=real.device).to(real)
        moved = real + alpha * 0.5 * spread * draw_rows(torch.rand, *real.shape, device=real.device).to(real)
    return weight * (norm(input_gradient(critic, moved, condition)) - slope).square().mean()


class _Interpolated(Regularizer):
    second_order: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True
    bounds_critic: ClassVar[bool] = True

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight = weight


class WassersteinGradientPenalty(_Interpolated):
    """Gradient norm 1 between real and fake; see :func:`wasserstein_gradient_penalty`.

    When to use: with ``wasserstein``; Adam betas (0, 0.9) and several critic steps for each generator step.
    """

    name: ClassVar[str] = "wgan-gp"

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        judged = scored.judged
        return wasserstein_gradient_penalty(scored.critic, judged.real, judged.fake, scored.condition, self.weight)


class LipschitzPenalty(_Interpolated):
    """Gradient norm at most 1 between real and fake; see :func:`lipschitz_penalty`.

    When to use: instead of ``wgan-gp``, where a slope below 1 should cost nothing; less sensitive to its weight.
    """

    name: ClassVar[str] = "wgan-lp"

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        judged = scored.judged
        return lipschitz_penalty(scored.critic, judged.real, judged.fake, scored.condition, self.weight)


class MaxGradientPenalty(_Interpolated):
    """The steepest place between real and fake; see :func:`max_gradient_penalty`.

    When to use: where the critic's Lipschitz constant itself matters (Lipschitz GANs).
    """

    name: ClassVar[str] = "max-gp"
    batch_statistics: ClassVar[bool] = True

    def __init__(self, weight: float = 1.0, interval: int = 1) -> None:
        super().__init__(weight, interval)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        judged = scored.judged
        return max_gradient_penalty(scored.critic, judged.real, judged.fake, scored.condition, self.weight)


class Dragan(Regularizer):
    """Gradient norm k around real samples; see :func:`dragan_penalty`.

    When to use: with ``minimax`` or ``non-saturating`` against sharp gradients around the data, hence mode collapse.
    """

    name: ClassVar[str] = "dragan"
    batch_statistics: ClassVar[bool] = True
    second_order: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True

    def __init__(
        self,
        weight: float = 10.0,
        slope: float = 1.0,
        form: DraganForm = "paper",
        noise: float = 0.1,
        interval: int = 1,
    ) -> None:
        super().__init__(interval)
        self.weight, self.slope, self.form, self.noise = weight, slope, form, noise

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        return dragan_penalty(
            scored.critic,
            scored.judged.real,
            scored.condition,
            self.weight,
            self.slope,
            self.form,
            self.noise,
        )
