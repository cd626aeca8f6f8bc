"""The eleven f-divergences of f-GAN (Nowozin et al. 2016), as variational bounds.

With V the critic's logit, T = g_f(V) the output activation and f* the convex conjugate::

    D = -(E T(r) - E f*(T(f)))          minus the bound on D_f(P || Q) (eq. 4)
    G = -E T(f)                          the trick of section 3.2 (default), or
    G = -E f*(T(f))                      the saddle point (``trick=false``)

Every activation increases (tables 2 and 6 of the paper, with -exp(-v) for reverse KL), so a larger logit is more real.
The best critic is T* = f'(p/q), and then minus D is the divergence. f* is written as a function of V, so that no
intermediate value overflows before the result does.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from advtasks.errors import UsageError
from advtasks.losses.adversarial_loss import AdversarialLoss


def _log_softplus(x: Tensor) -> Tensor:
    """log(softplus(x)), finite however negative x is."""
    safe = softplus(x.clamp(min=-30)).log()
    return torch.where(x < -30, x, safe)


@dataclass(frozen=True, kw_only=True)
class FDivergence(AdversarialLoss, abc.ABC):
    """A divergence; see the module for the losses."""

    trick: bool = True
    """The generator lowers ``-E T(f)``, which has a gradient from the start, instead of the saddle-point form."""

    @abc.abstractmethod
    def activation(self, logits: Tensor) -> Tensor:
        """T = g_f(V), within the domain of f*."""

    @abc.abstractmethod
    def conjugate(self, logits: Tensor) -> Tensor:
        """f*(g_f(V))."""

    def bound(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The variational lower bound on D_f(P || Q), with a critic fixed (eq. 4)."""
        return self.activation(real_logits).mean() - self.conjugate(fake_logits).mean()

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Minus the bound."""
        return -self.bound(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """See the module."""
        return -(self.activation(fake_logits) if self.trick else self.conjugate(fake_logits)).mean()


@dataclass(frozen=True, kw_only=True)
class TotalVariation(FDivergence):
    """f(u) = ½|u-1|; T = ½ tanh V; f*(t) = t.

    When to use: bounded and robust; saturates.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return 0.5 * torch.tanh(logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return 0.5 * torch.tanh(logits)


@dataclass(frozen=True, kw_only=True)
class KullbackLeibler(FDivergence):
    """f(u) = u log u; T = V; f*(t) = exp(t-1). The exponential overflows float32 at logits above 89.

    When to use: covering all modes matters more than sharpness. Keep the critic bounded (``r1``).
    """

    @property
    def threshold(self) -> float | None:
        """f'(1) = 1."""
        return 1.0

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return logits

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return (logits - 1).exp()


@dataclass(frozen=True, kw_only=True)
class ReverseKullbackLeibler(FDivergence):
    """f(u) = -log u; T = -exp(-V); f*(t) = -1 - log(-t) = V - 1.

    When to use: sharp samples matter more than covering all modes.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return -(-logits).exp()

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return logits - 1


@dataclass(frozen=True, kw_only=True)
class Pearson(FDivergence):
    """f(u) = (u-1)²; T = V; f*(t) = t²/4 + t.

    When to use: as least squares, with an unbounded critic; heavy tails of p/q make it noisy.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return logits

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return logits.square() / 4 + logits


@dataclass(frozen=True, kw_only=True)
class Neyman(FDivergence):
    """f(u) = (1-u)²/u; T = 1 - exp(-V); f*(t) = 2 - 2√(1-t) = 2 - 2 exp(-V/2).

    When to use: hardly ever for training; its critic's loss explodes where q misses p.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return -torch.expm1(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return -2 * torch.expm1(-logits / 2)


@dataclass(frozen=True, kw_only=True)
class SquaredHellinger(FDivergence):
    """f(u) = (√u-1)²; T = 1 - exp(-V); f*(t) = t/(1-t) = exp(V) - 1.

    When to use: bounded between the two Kullback-Leibler divergences.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return -torch.expm1(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return torch.expm1(logits)


@dataclass(frozen=True, kw_only=True)
class Jeffrey(FDivergence):
    """f(u) = (u-1) log u; T = V; f*(t) = w + 1/w + t - 2 with w + log w = 1 - t (Lambert's W of exp(1-t)).

    Solved for log w by Newton's method, which converges from the right for every t; W itself would overflow.

    When to use: KL and reverse KL at once.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return logits

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        target = 1 - logits
        y = torch.where(target > 1, target.clamp(min=1).log(), target)
        for _ in range(8):
            y = y - (y.exp() + y - target) / (y.exp() + 1)
        return y.exp() + (-y).exp() + logits - 2


@dataclass(frozen=True, kw_only=True)
class JensenShannon(FDivergence):
    """f(u) = u log u - (u+1) log((1+u)/2), twice the Jensen-Shannon divergence; T = log 2 - s(-V);
    f*(t) = -log(2 - exp t) = s(V) - log 2.

    When to use: the original game's divergence in a bound that is 0 for equal distributions.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return math.log(2) - softplus(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return softplus(logits) - math.log(2)


@dataclass(frozen=True, kw_only=True)
class WeightedJensenShannon(FDivergence):
    """f(u) = πu log u - (1-π+πu) log(1-π+πu); T = -π log π - s(-V);
    f*(t) = (1-π) log((1-π) / (1 - π exp(t/π))), where π exp(t/π) = σ(V)^{1/π}.

    When to use: between KL (small π) and reverse KL (large π).

    Raises:
        UsageError: pi is not between 0 and 1.
    """

    pi: float = 0.3
    """The weight of the real distribution, between 0 and 1."""

    def __post_init__(self) -> None:
        if not 0 < self.pi < 1:
            raise UsageError(f"f-jensen-shannon-weighted: pi must lie between 0 and 1, got {self.pi}")

    @property
    def threshold(self) -> float | None:
        """Where T = f'(1) = 0."""
        return -math.log(math.expm1(-self.pi * math.log(self.pi)))

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return -self.pi * math.log(self.pi) - softplus(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        # log(1 - exp(-s(-V)/π)); where V is large, s(-V) = exp(-V) and the logarithm is -V - log π
        gap = torch.log(-torch.expm1(-softplus(-logits.clamp(max=30)) / self.pi))
        gap = torch.where(logits > 30, -logits - math.log(self.pi), gap)
        return (1 - self.pi) * (math.log(1 - self.pi) - gap)


@dataclass(frozen=True, kw_only=True)
class OriginalGAN(FDivergence):
    """f(u) = u log u - (u+1) log(u+1), twice the Jensen-Shannon divergence less log 4; T = -s(-V);
    f*(t) = -log(1 - exp t) = s(V). Its critic's loss is the minimax loss.

    When to use: to compare with ``minimax``, of which it is another form.
    """

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return -softplus(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        return softplus(logits)


@dataclass(frozen=True, kw_only=True)
class Alpha(FDivergence):
    """f(u) = (u^α - 1 - α(u-1)) / (α(α-1)); f*(t) = ((t(α-1)+1)^{α/(α-1)} - 1) / α.

    T = 1/(1-α) - s(-V) for α < 1, T = V for α > 1. Below -1/(α-1), where u would be negative, the conjugate over
    u >= 0 is the constant -1/α; there T stays V, so that real samples keep their gradient.

    When to use: to move between the other divergences by one number.

    Raises:
        UsageError: alpha is 0 or 1, which have names of their own.
    """

    alpha: float = 1.5
    """Not 0 and not 1, whose limits are ``f-reverse-kl`` and ``f-kl``."""

    def __post_init__(self) -> None:
        if self.alpha in (0, 1):
            raise UsageError(f"f-alpha: alpha may not be {self.alpha:g}: use f-reverse-kl for 0 and f-kl for 1")

    @property
    def threshold(self) -> float | None:
        """Where T = f'(1) = 0."""
        if self.alpha > 1:
            return 0.0
        end = 1 / (1 - self.alpha)
        return -(end + math.log(-math.expm1(-end)))  # -log(expm1(end)), which overflows near alpha = 1

    def activation(self, logits: Tensor) -> Tensor:
        """See the class."""
        return logits if self.alpha > 1 else 1 / (1 - self.alpha) - softplus(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """See the class."""
        power = self.alpha / (self.alpha - 1)
        if self.alpha > 1:
            raised = relu(logits * (self.alpha - 1) + 1) ** power
        else:
            raised = (power * (math.log(1 - self.alpha) + _log_softplus(-logits))).exp()
        return (raised - 1) / self.alpha
