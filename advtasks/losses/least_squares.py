"""Least squares GAN (Mao et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from advtasks.losses.adversarial_loss import AdversarialLoss


@dataclass(frozen=True, kw_only=True)
class LeastSquares(AdversarialLoss):
    """``D = ½E(C(r)-b)² + ½E(C(f)-a)²``, ``G = ½E(C(f)-c)²`` (Mao et al. 2017, eq. 2); no sigmoid anywhere.

    With b-c = 1 and b-a = 2 the generator lowers the Pearson χ² divergence (eq. 8). With `label_smoothing` ε the
    real target is ``b - ε (b - a)``.

    When to use: translation (pix2pixHD, CycleGAN); gentle gradients for fakes that pass already.
    Healthy: ``discriminator`` between 0.1 and 0.25 (0.25: the critic has no idea), ``logit/real`` below b.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0
    label_smoothing: float = 0.0

    @property
    def threshold(self) -> float | None:
        """Half-way between the targets."""
        return (self.a + self.b) / 2

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Squared distance of real to b and fake to a, halved."""
        target = self.b - self.label_smoothing * (self.b - self.a)
        return 0.5 * (real_logits - target).square().mean() + 0.5 * (fake_logits - self.a).square().mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Squared distance of fake to c, halved."""
        return 0.5 * (fake_logits - self.c).square().mean()
