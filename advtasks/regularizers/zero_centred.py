"""Zero-centred gradient penalties: R1, R2, between real and fake, and a first-order stand-in for R1."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from advtasks.distributed import draw_rows
from advtasks.regularizers.input_gradient import (
    Critic,
    between,
    full_precision,
    input_gradient,
    precise,
    squared_norm,
    values,
)
from advtasks.regularizers.regularizer import Regularizer, Scored


def r1_penalty(critic: Critic, real: Tensor, condition: Tensor | None = None, gamma: float = 10.0) -> Tensor:
    """``γ/2 · E_r ‖∇C(r)‖²`` (Mescheder et al. 2018, eq. 9).

    Args:
        critic: called as ``critic(x)``, or ``critic(x, condition)`` where there is one; gives logits of any shape.
        real: (N, C, H, W) or (N, C).
        condition: a row for each sample.

    A scalar, float32.
    """
    return 0.5 * gamma * squared_norm(input_gradient(critic, real, condition)).mean()


def r2_penalty(critic: Critic, fake: Tensor, condition: Tensor | None = None, gamma: float = 10.0) -> Tensor:
    """``γ/2 · E_f ‖∇C(f)‖²`` (Mescheder et al. 2018, eq. 10), on generated samples as detached leaves; else as
    :func:`r1_penalty`."""
    return r1_penalty(critic, fake, condition, gamma)


def zero_centred_penalty(
    critic: Critic, real: Tensor, fake: Tensor, condition: Tensor | None = None, weight: float = 10.0
) -> Tensor:
    """``λ E ‖∇C(x̂)‖²`` between real and fake (Thanh-Tung et al. 2019, eq. 6).

    Args:
        critic: called as ``critic(x)``, or ``critic(x, condition)`` where there is one; gives logits of any shape.
        real, fake: (N, C, H, W) or (N, C).
        condition: a row for each sample.

    A scalar, float32.
    """
    return weight * squared_norm(input_gradient(critic, between(real, fake), condition)).mean()


def r1_first_order(
    critic: Critic, real: Tensor, condition: Tensor | None = None, gamma: float = 10.0, epsilon: float = 0.01
) -> Tensor:
    """``γ/2 · E ((C(r + εn) - C(r)) / ε)²``, n ~ N(0, I): R1 in expectation as ε → 0, since E (n·∇C)² = ‖∇C‖².

    It needs no second derivative, so it runs under torch.compile; in exchange its value is noisy (for a linear
    critic, one sample has a relative standard deviation of √2). Arguments and value as of :func:`r1_penalty`.
    """
    real = precise(real)
    noise = draw_rows(torch.randn, *real.shape, device=real.device).to(real)
    both = torch.cat((real + epsilon * noise, real))
    condition = None if condition is None else torch.cat((condition, condition))
    with full_precision(real):
        moved, still = values(critic, both, condition).chunk(2)
    return 0.5 * gamma * ((moved - still) / epsilon).square().mean()


class R1(Regularizer):
    """Zero-centred gradient penalty on real samples; see :func:`r1_penalty`.

    When to use: the first choice for any critic without batch norm. Watch ``r1``: it should stay below the main loss;
    raise gamma where the logit gap keeps growing. Gamma scales with the number of pixels. With augments and packing the
    gradient is with respect to what the critic is given, the augmented sample, not the one before.
    """

    name: ClassVar[str] = "r1"
    second_order: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True

    def __init__(self, gamma: float = 10.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.gamma = gamma

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        return r1_penalty(scored.critic, scored.judged.real, scored.condition, self.gamma)


class R2(R1):
    """Zero-centred gradient penalty on generated samples; see :func:`r2_penalty`.

    When to use: beside R1, with ``relativistic-paired`` (R3GAN: Huang et al. 2024), for training that converges.
    """

    name: ClassVar[str] = "r2"

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        return r2_penalty(scored.critic, scored.judged.fake, scored.condition, self.gamma)


class ZeroCentredPenalty(Regularizer):
    """Zero-centred gradient penalty between real and fake; see :func:`zero_centred_penalty`.

    When to use: against overfitting of the critic on small sets (Thanh-Tung et al. 2019).
    """

    name: ClassVar[str] = "zero-gp"
    second_order: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight = weight

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        judged = scored.judged
        return zero_centred_penalty(scored.critic, judged.real, judged.fake, scored.condition, self.weight)


class R1FirstOrder(Regularizer):
    """R1 without second derivatives; see :func:`r1_first_order`.

    When to use: where the critic is compiled, or holds an operation without a second derivative.
    """

    name: ClassVar[str] = "r1-first-order"
    per_sample: ClassVar[bool] = True

    def __init__(self, gamma: float = 10.0, epsilon: float = 0.01, interval: int = 1) -> None:
        super().__init__(interval)
        self.gamma, self.epsilon = gamma, epsilon

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        return r1_first_order(scored.critic, scored.judged.real, scored.condition, self.gamma, self.epsilon)
