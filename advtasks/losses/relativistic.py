"""Relativistic losses (Jolicoeur-Martineau 2018): a real picture should look more real than a generated one.

``h`` compares a difference u of logits: softplus(-u), relu(1 - u) or (u - 1)².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

from advtasks.distributed import batch_mean
from advtasks.losses.adversarial_loss import AdversarialLoss, require_real

Comparison = Literal["logistic", "hinge", "least-squares"]

_COMPARE: dict[Comparison, Callable[[Tensor], Tensor]] = {
    "logistic": lambda difference: softplus(-difference),
    "hinge": lambda difference: relu(1 - difference),
    "least-squares": lambda difference: (difference - 1).square(),
}


@dataclass(frozen=True, kw_only=True)
class RelativisticPaired(AdversarialLoss):
    """``D = E h(C(r)-C(f))``, ``G = E h(C(f)-C(r))`` over the pairs of the batch (section 4.1: the
    relativistic standard GAN, RSGAN; RpGAN in R3GAN).

    log 2 for both at a constant critic, in the logistic form; unchanged by a constant added to all logits.

    When to use: the first choice for noise to image, with ``r1`` and ``r2`` (R3GAN), and for paired tasks, where the
    partner is the same picture. Healthy: logistic ``discriminator`` between 0.3 and 0.69 (log 2: no idea).
    """

    needs_real: ClassVar[bool] = True
    comparison: Comparison = "logistic"

    @property
    def threshold(self) -> float | None:
        """None: only differences of logits have a meaning."""
        return None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Real above its fake partner."""
        return _COMPARE[self.comparison](real_logits - fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Fake above its real partner."""
        return self.discriminator(fake_logits, require_real(real_logits))


@dataclass(frozen=True, kw_only=True)
class RelativisticAverage(AdversarialLoss):
    """``D = E h(C(r) - E C(f)) + E h(E C(r) - C(f))``, ``G`` with real and fake swapped (section 4.2).

    ESRGAN halves it. Twice the paired form for a batch of one; unchanged by a constant added to all logits. The means
    run over the batch of all ranks.

    When to use: super-resolution (ESRGAN) and small batches of unpaired samples.
    Healthy: logistic ``discriminator`` between 0.5 and 1.39 (2 log 2: no idea).
    """

    needs_real: ClassVar[bool] = True
    batch_statistics: ClassVar[bool] = True
    comparison: Comparison = "logistic"

    @property
    def threshold(self) -> float | None:
        """None: only differences of logits have a meaning."""
        return None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Real above the mean fake, fake below the mean real."""
        compare = _COMPARE[self.comparison]
        above_fake = compare(real_logits - batch_mean(fake_logits)).mean()
        return above_fake + compare(batch_mean(real_logits) - fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The critic's loss with the roles swapped."""
        return self.discriminator(fake_logits, require_real(real_logits))
