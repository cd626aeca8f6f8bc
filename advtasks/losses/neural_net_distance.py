"""The neural-net distance (Arora et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advtasks.distributed import batch_mean
from advtasks.losses.adversarial_loss import AdversarialLoss, require_real


@dataclass(frozen=True, kw_only=True)
class NeuralNetDistance(AdversarialLoss):
    """``d_F = sup over the critics F of |E C(r) - E C(f)|`` (definition 2, φ(t) = t): D = -d, G = d.

    It generalises from about p log p / ε² samples for critics of p parameters (theorem 3.1), where the Wasserstein
    distance would need exponentially many; so a small value says that no such critic tells the two apart, not that
    the distributions are close. F must be bounded: constrain the critic as for ``wasserstein``.

    When to use: to measure and to study, with a critic that is held out.
    Healthy: ``adversarial`` (the distance) falls towards the one between two halves of the real data.
    """

    needs_real: ClassVar[bool] = True
    batch_statistics: ClassVar[bool] = True
    lipschitz: ClassVar[bool] = True

    @property
    def threshold(self) -> float | None:
        """None: only differences of the critic's values have a meaning."""
        return None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Minus the gap between the mean values, whichever is higher."""
        return -self.generator(fake_logits, real_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The gap."""
        return (batch_mean(require_real(real_logits)) - batch_mean(fake_logits)).abs()
