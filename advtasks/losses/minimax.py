"""The original game and its non-saturating form (Goodfellow et al. 2014), s = softplus.

Written with softplus of the logit: ``-log(sigmoid(x) + eps)`` has no gradient at very negative logits.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from advtasks.losses.adversarial_loss import AdversarialLoss


@dataclass(frozen=True, kw_only=True)
class Minimax(AdversarialLoss):
    """``D = E s(-C(r)) + E s(C(f))``, ``G = -E s(C(f))`` (Goodfellow et al. 2014, eq. 1).

    With `label_smoothing` ε the real part is ``E (1-ε) s(-C(r)) + ε s(C(r))``.

    When to use: to study the original game; its generator stops learning where the critic is sure.
    Healthy: ``discriminator`` between 0.5 and 1.39 (2 log 2: the critic has no idea), accuracies between 0.5 and 0.9.
    """

    label_smoothing: float = 0.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Cross-entropy of real against 1 - ε and fake against 0; 2 log 2 at logits 0."""
        real = softplus(-real_logits)
        if self.label_smoothing:
            real = (1 - self.label_smoothing) * real + self.label_smoothing * softplus(real_logits)
        return real.mean() + softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """``E log(1 - D(f))``: saturates where the critic is sure."""
        return -softplus(fake_logits).mean()


@dataclass(frozen=True, kw_only=True)
class NonSaturating(Minimax):
    """The same critic, ``G = E s(-C(f))`` (Goodfellow et al. 2014, section 3). Also known as vanilla GAN loss.

    When to use: the customary start, with ``r1`` or ``spectral-norm``.
    Healthy: ``discriminator`` between 0.5 and 1.39, ``adversarial`` between 0.5 and 3; far above, the critic has won.
    """

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """``-E log D(f)``: its gradient at logit z is -σ(-z)/N, whatever z."""
        return softplus(-fake_logits).mean()
