"""The shape of an adversarial loss."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from torch import Tensor

from advtasks.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AdversarialLoss(abc.ABC):
    """A pair of pure functions of logits, both minimised. Logits have any shape; the mean runs over all elements.

    Sub-classes are frozen dataclasses whose fields are the options of the loss; one with state (BEGAN's k) is an
    ``nn.Module`` besides, and changes it in :meth:`observe` only.
    """

    needs_real: ClassVar[bool] = False
    """Whether :meth:`generator` looks at the logits of real pictures."""
    batch_statistics: ClassVar[bool] = False
    """Whether the value of a batch differs from the mean over its parts. Such means run over all ranks."""
    lipschitz: ClassVar[bool] = False
    """Whether the loss is unbounded for a critic that is not constrained."""
    autoencoding: ClassVar[bool] = False
    """Whether logits must be minus the energies of an autoencoding critic."""

    @property
    def threshold(self) -> float | None:
        """The logit above which the critic says "real"; None where only differences have a meaning."""
        return 0.0

    @abc.abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The critic's loss, a scalar."""

    @abc.abstractmethod
    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The generator's loss, a scalar. `real_logits` are used where :attr:`needs_real`."""

    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Look at the detached logits of a critic step: move the loss's state, and give values to log."""
        return {}

    def with_label_smoothing(self, smoothing: float) -> AdversarialLoss:
        """The same loss with real targets 1 - `smoothing` (Salimans et al. 2016, section 3.4).

        Raises:
            UsageError: this loss has no target for real pictures, or `smoothing` is not in [0, 0.5).
        """
        if "label_smoothing" not in {field.name for field in dataclasses.fields(self)}:
            raise UsageError(
                f"label smoothing makes no sense with {type(self).__name__}: it has no probability target for "
                "real pictures. Use minimax, non-saturating or least-squares."
            )
        if not 0 <= smoothing < 0.5:
            raise UsageError(f"label smoothing must be at least 0 and below 0.5, got {smoothing}")
        return dataclasses.replace(self, label_smoothing=smoothing)  # type: ignore[call-arg]


def require_real(real_logits: Tensor | None) -> Tensor:
    """The logits of real pictures, for losses that compare with them.

    Raises:
        ValueError: they are missing.
    """
    if real_logits is None:
        raise ValueError("a relativistic generator loss needs the logits of real pictures as second argument")
    return real_logits
