"""Hinge loss of the geometric GAN (Lim & Ye 2017), as used by SAGAN (Zhang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu

from advtasks.losses.adversarial_loss import AdversarialLoss


@dataclass(frozen=True, kw_only=True)
class Hinge(AdversarialLoss):
    """``D = E relu(1-C(r)) + E relu(1+C(f))``, ``G = -E C(f)`` (Lim & Ye 2017, eq. 19).

    When to use: with ``spectral-norm`` (SNGAN, SAGAN, BigGAN) and for large batches.
    Healthy: ``discriminator`` between 0.5 and 1.9 (2: no idea, 0: every margin met and nothing left to learn).
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Zero once every margin is met; the best value is 2 (1 - total variation)."""
        return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Raise the logits of generated pictures."""
        return -fake_logits.mean()
