"""Penalties on the gradient of the critic with respect to its input.

The critic's value of a picture is the mean of its logits, as in the losses; norms run over each picture, never over
the batch. All are computed in float32, outside autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from advtasks.regularizers.regularizer import Regularizer
from advtasks.task import Judged

Critic = Callable[..., Tensor]


def input_gradient(critic: Critic, picture: Tensor, condition: Tensor | None = None) -> Tensor:
    """∇C(x) for each x of the batch, with its graph, in the shape of `picture`.

    Raises:
        RuntimeError: the critic holds an operation that has no second derivative.
    """
    leaf = picture.detach().float().requires_grad_(True)
    logits = critic(leaf) if condition is None else critic(leaf, condition)
    values = logits.float().flatten(1).mean(1) if logits.dim() > 1 else logits.float()
    (gradient,) = torch.autograd.grad(values.sum(), leaf, create_graph=True)
    return gradient


def _squared_norm(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).square().sum(1)


def r1_penalty(critic: Critic, real: Tensor, condition: Tensor | None = None, gamma: float = 10.0) -> Tensor:
    """``γ/2 · E_r ‖∇C(r)‖²`` (Mescheder et al. 2018, eq. 9)."""
    return 0.5 * gamma * _squared_norm(input_gradient(critic, real, condition)).mean()


def r2_penalty(critic: Critic, fake: Tensor, condition: Tensor | None = None, gamma: float = 10.0) -> Tensor:
    """``γ/2 · E_f ‖∇C(f)‖²`` (Mescheder et al. 2018, eq. 10), on generated pictures as detached leaves."""
    return r1_penalty(critic, fake, condition, gamma)


def wasserstein_gradient_penalty(
    critic: Critic, real: Tensor, fake: Tensor, condition: Tensor | None = None, weight: float = 10.0
) -> Tensor:
    """``λ E (‖∇C(x̂)‖ - 1)²``, x̂ = ε r + (1-ε) f with ε uniform for each picture (Gulrajani et al. 2017, eq. 3)."""
    epsilon = torch.rand(real.shape[0], *[1] * (real.dim() - 1), device=real.device, dtype=torch.float32)
    between = epsilon * real.detach().float() + (1 - epsilon) * fake.detach().float()
    # the square root of 0 has no gradient: 1e-12 is far below any norm that matters
    norm = (_squared_norm(input_gradient(critic, between, condition)) + 1e-12).sqrt()
    return weight * (norm - 1).square().mean()


class R1(Regularizer):
    """Zero-centred gradient penalty on real pictures; see :func:`r1_penalty`."""

    name: ClassVar[str] = "r1"
    second_order: ClassVar[bool] = True

    def __init__(self, gamma: float = 10.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.gamma = gamma

    def term(self, discriminator: nn.Module, judged: Judged) -> Tensor:
        """The penalty, weighted."""
        return r1_penalty(discriminator, judged.real, judged.condition, self.gamma)


class R2(R1):
    """Zero-centred gradient penalty on generated pictures; see :func:`r2_penalty`."""

    name: ClassVar[str] = "r2"

    def term(self, discriminator: nn.Module, judged: Judged) -> Tensor:
        """The penalty, weighted."""
        return r2_penalty(discriminator, judged.fake, judged.condition, self.gamma)


class WassersteinGradientPenalty(Regularizer):
    """Gradient norm 1 between real and generated; see :func:`wasserstein_gradient_penalty`."""

    name: ClassVar[str] = "wgan-gp"
    second_order: ClassVar[bool] = True

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight = weight

    def term(self, discriminator: nn.Module, judged: Judged) -> Tensor:
        """The penalty, weighted."""
        return wasserstein_gradient_penalty(discriminator, judged.real, judged.fake, judged.condition, self.weight)
