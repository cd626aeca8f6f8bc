"""Wasserstein GAN (Arjovsky et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advtasks.losses.adversarial_loss import AdversarialLoss


@dataclass(frozen=True, kw_only=True)
class Wasserstein(AdversarialLoss):
    """``D = E C(f) - E C(r)``, ``G = -E C(f)`` (Arjovsky et al. 2017, eq. 2).

    Minus the critic's loss estimates the Wasserstein-1 distance only if the critic is 1-Lipschitz: add ``wgan-gp``,
    ``wgan-lp``, ``spectral-norm`` or ``weight-clipping``.

    When to use: where the loss should measure progress; several critic steps for each generator step.
    Healthy: minus ``discriminator`` (the distance) rises at first and then falls; its sign stays.
    """

    lipschitz: ClassVar[bool] = True

    @property
    def threshold(self) -> float | None:
        """None: only differences of the critic's values have a meaning."""
        return None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Difference of the mean values."""
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Raise the critic's value of generated pictures."""
        return -fake_logits.mean()
