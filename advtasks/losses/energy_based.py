"""EBGAN (Zhao et al. 2017): the critic gives energies, low for real samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import relu

from advtasks.losses.adversarial_loss import AdversarialLoss


@dataclass(frozen=True, kw_only=True)
class EnergyBased(AdversarialLoss):
    """``D = E L(r) + E relu(m - L(f))``, ``G = E L(f)`` (eq. 1 and 2), the margin for each sample by itself.

    L = minus the logit of an autoencoding critic. With ``pulling-away`` the generator keeps its codes apart.

    When to use: autoencoding critics without a controller; set the margin above the energy of real samples.
    Healthy: ``logit/real`` near 0, ``logit/fake`` between minus the margin and 0.
    """

    autoencoding: ClassVar[bool] = True
    margin: float = 1.0
    """m, in units of the energy (mean error a pixel on [-1, 1]): above the energy that real samples reach."""

    @property
    def threshold(self) -> float | None:
        """None: the energy of a real sample depends on the autoencoder."""
        return None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Low energy for real, at least the margin for fake."""
        return -real_logits.mean() + relu(self.margin + fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The energy of the fakes."""
        return -fake_logits.mean()
