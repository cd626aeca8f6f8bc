"""The shape of a regularizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from advtasks.discriminators import CriticOutput, Discriminator
from advtasks.errors import UsageError
from advtasks.losses import AdversarialLoss
from advtasks.task import Judged, View

PhaseName = Literal["discriminator", "generator"]


@dataclass(frozen=True)
class Scored:
    """One batch in front of a critic, as a regularizer sees it."""

    critic: nn.Module
    """Called as ``critic(picture, condition)``, without ``condition`` where that is None."""
    judged: Judged
    """Detached in the critic's phases; with the generator's graph in its own."""
    condition: Tensor | None
    """What the critic is given, which is None where it does not look at ``judged.condition``."""
    loss: AdversarialLoss
    step: int
    """Of the stage, from 0."""
    outputs: tuple[CriticOutput | None, CriticOutput] | None = None
    """Of real and fake, in phases that computed them; see :attr:`Regularizer.uses_outputs`."""

    @property
    def real(self) -> CriticOutput:
        """What the critic said of the real samples."""
        assert self.outputs is not None
        assert self.outputs[0] is not None
        return self.outputs[0]

    @property
    def fake(self) -> CriticOutput:
        """What the critic said of the fakes."""
        assert self.outputs is not None
        return self.outputs[1]

    def latent(self) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The generator's noise, and the generator as a function of it.

        Raises:
            UsageError: the task shows none.
        """
        if self.judged.latent is None or self.judged.synthesize is None:
            raise UsageError(
                "path-length and zcr move the generator's noise, and this task shows none (Task.latent, or "
                "Judged.latent and Judged.synthesize in a loop of your own)"
            )
        return self.judged.latent, self.judged.synthesize


class Regularizer(nn.Module):
    """A term for the critic's phase, the generator's or both, or a constraint on the critic. State that a resume
    needs lives in buffers; parameters (a class head) are trained with the critic's.

    Args:
        interval: the critic's term is computed every `interval` steps, `interval` times as heavy (lazy
            regularization; Karras et al. 2020, appendix B).

    Raises:
        UsageError: the interval is below 1, or above 1 for what every step computes anyway.
    """

    name: ClassVar[str]
    phases: ClassVar[tuple[PhaseName, ...]] = ("discriminator",)
    """Where it has a term."""
    second_order: ClassVar[bool] = False
    """Whether a term differentiates the critic twice."""
    per_sample: ClassVar[bool] = False
    """Whether it looks at the gradient of each sample by itself, which batch norm in the critic would mix."""
    uses_outputs: ClassVar[bool] = False
    """Whether it reads :attr:`Scored.outputs`."""
    uses_real_output: ClassVar[bool] = False
    """Whether, in the generator's phase, it reads the output for real samples, too."""
    uses_features: ClassVar[bool] = False
    """Whether it reads the critic's features."""
    batch_statistics: ClassVar[bool] = False
    """Whether a term of a batch differs from the mean over its parts. What it takes from the batch runs over all
    ranks."""
    paired: bool = False
    """Whether it compares each fake with its real partner, so that both must be augmented alike."""
    bounds_critic: ClassVar[bool] = False
    """Whether it makes the critic Lipschitz, as ``wasserstein`` needs."""
    share_of_loss: float = 0.0
    """The share of the critic's loss that its term takes over."""

    def __init__(self, interval: int = 1) -> None:
        super().__init__()
        if interval < 1:
            raise UsageError(f"{self.name}: the interval must be at least 1, got {interval}")
        if interval > 1 and self.uses_outputs:
            raise UsageError(f"{self.name}: it reads logits that every step computes anyway; leave out the interval")
        self.interval = interval

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Look at the critic once, when the adversary is made; change or wrap it.

        Raises:
            UsageError: the critic or the task's view lacks what the regularizer needs.
        """
        if self.uses_features and not isinstance(discriminator, Discriminator):
            raise UsageError(
                f"{self.name} needs a critic that shows its features (a sub-class of advtasks.discriminators."
                f"Discriminator); {type(discriminator).__name__} does not"
            )
        return discriminator

    def prepare(self, scored: Scored) -> None:
        """Called before the critic's first pass over a batch, in each phase."""

    def discriminator_term(self, scored: Scored) -> Tensor | None:
        """The critic's term, already weighted, a scalar; None for none."""
        return None

    def generator_term(self, scored: Scored) -> Tensor | None:
        """The generator's term, relative to the adversarial weight, a scalar; None for none."""
        return None

    def select(self, fake: Tensor, real: Tensor | None, step: int) -> tuple[Tensor, Tensor | None]:
        """The logits that the generator's loss sees."""
        return fake, real

    def critic_for_generator(self, scored: Scored) -> nn.Module:
        """The critic that the generator plays against."""
        return scored.critic

    def observed(self) -> dict[str, Tensor]:
        """Values of the last critic's term to log, beside the term itself."""
        return {}

    def prepare_for_rehearsal(self) -> None:
        """Compute at the next call what is not computed at every one."""

    def after_step(self, discriminator: nn.Module) -> None:
        """Called after each optimiser step of the critic."""
