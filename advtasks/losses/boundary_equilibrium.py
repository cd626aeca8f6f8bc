"""BEGAN (Berthelot et al. 2017): an autoencoding critic in balance with its generator."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from advtasks.distributed import batch_mean
from advtasks.errors import UsageError
from advtasks.losses.adversarial_loss import AdversarialLoss


class BoundaryEquilibrium(nn.Module, AdversarialLoss):
    """``D = L(r) - k L(f)``, ``G = L(f)``; after each critic step ``k <- clip(k + λ(γ L(r) - L(f)), 0, 1)``
    (section 3.4). L = minus the logit of an autoencoding critic.

    Logged: k, and the convergence measure ``M = L(r) + |γ L(r) - L(f)|`` (section 3.4.1), which falls as training
    succeeds. At equilibrium E L(f) = γ E L(r). k is a buffer, so checkpoints hold it.

    When to use: smooth pictures from an autoencoding critic; lower `gamma` for sharper and fewer kinds.
    Healthy: ``began/k`` settles between 0 and 0.3, ``began/convergence`` falls.

    Args:
        gamma: diversity ratio γ in (0, 1]; lower gives cleaner and less varied samples.
        rate: λ, the gain of the controller.

    Raises:
        UsageError: gamma is not within (0, 1].
    """

    autoencoding: ClassVar[bool] = True
    k: Tensor

    def __init__(self, gamma: float = 0.5, rate: float = 0.001) -> None:
        super().__init__()
        if not 0 < gamma <= 1:
            raise UsageError(f"began: gamma must lie in (0, 1], got {gamma}")
        self.gamma, self.rate = gamma, rate
        self.register_buffer("k", torch.zeros(()))

    @property
    def threshold(self) -> float | None:
        """None: energies have no boundary."""
        return None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Low energy for real, and for fake a high one as far as k says."""
        return -real_logits.mean() + self.k.clone() * fake_logits.mean()  # k moves before backward is done

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The energy of the fakes."""
        return -fake_logits.mean()

    @torch.no_grad()
    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Move k by the balance of the whole batch."""
        real, fake = -batch_mean(real_logits), -batch_mean(fake_logits)
        balance = self.gamma * real - fake
        self.k.add_(self.rate * balance).clamp_(0, 1)
        return {"began/k": self.k.clone(), "began/convergence": real + balance.abs()}
