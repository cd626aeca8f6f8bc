"""Class heads beside the critic: AC-GAN, TAC-GAN, ADC-GAN, InfoGAN. Each head is one linear layer on the mean of the
critic's deepest features; its parameters are trained with the critic's."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from advtasks.discriminators import CriticOutput, pooled
from advtasks.errors import UsageError
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.task import View
from advtasks.wide import at_least_float32


class ClassHead(Regularizer):
    """Linear heads on the critic's features, for tasks that show class labels."""

    phases: ClassVar = ("discriminator", "generator")
    uses_outputs: ClassVar[bool] = True
    uses_features: ClassVar[bool] = True
    heads: ClassVar[int] = 1
    """Linear layers of `classes` outputs."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.head = nn.ModuleList()

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Make the heads.

        Raises:
            UsageError: the task shows no classes, or the critic no features.
        """
        discriminator = super().apply_to(discriminator, view)
        if not view.classes:
            raise UsageError(f"{self.name} needs class labels as condition, and this task shows none")
        width: int = discriminator.feature_width  # type: ignore[assignment]
        self.head = nn.ModuleList(nn.Linear(width, view.classes) for _ in range(self.heads))
        return discriminator

    def _logits(self, output: CriticOutput, head: int = 0) -> Tensor:
        logits: Tensor = self.head[head](at_least_float32(pooled(output.features[-1])))
        return logits

    @staticmethod
    def _label(scored: Scored) -> Tensor:
        if scored.judged.condition is None:
            raise UsageError("a class head needs the labels as condition: term(fake, real, labels)")
        condition = scored.judged.condition
        return condition if condition.is_floating_point() else condition.long()


class AuxiliaryClassifier(ClassHead):
    """AC-GAN: critic CE(cls(r), y) + CE(cls(f), y), generator CE(cls(f), y) (Odena et al. 2017, eq. 3).

    When to use: few, well separated classes. It is known to collapse within classes; then use ``adc-gan`` or
    ``tac-gan``, or ``--adversary.conditioning projection``. In the log ``ac-gan`` starts at 2 log K, and
    ``ac-gan/generator`` at log K.

    Args:
        weight: of all terms.
        fake: whether the critic's head learns from fakes, too, as in the paper.
    """

    name: ClassVar[str] = "ac-gan"

    def __init__(self, weight: float = 1.0, fake: bool = True) -> None:
        super().__init__(weight)
        self.fake = fake

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The critic's part, weighted."""
        label = self._label(scored)
        term = cross_entropy(self._logits(scored.real), label)
        if self.fake:
            term = term + cross_entropy(self._logits(scored.fake), label)
        return self.weight * term

    def generator_term(self, scored: Scored) -> Tensor:
        """The generator's part, weighted."""
        return self.weight * cross_entropy(self._logits(scored.fake), self._label(scored))


class TwinAuxiliaryClassifier(ClassHead):
    """TAC-GAN: AC-GAN with a twin head that learns from fakes alone, and that the generator works against:
    critic CE(cls(r), y) + CE(twin(f), y), generator CE(cls(f), y) - CE(twin(f), y) (Gong et al. 2019, eq. 7).

    When to use: as AC-GAN, with overlapping classes.
    """

    name: ClassVar[str] = "tac-gan"
    heads: ClassVar[int] = 2

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The critic's part, weighted."""
        label = self._label(scored)
        real = cross_entropy(self._logits(scored.real), label)
        return self.weight * (real + cross_entropy(self._logits(scored.fake, 1), label))

    def generator_term(self, scored: Scored) -> Tensor:
        """The generator's part, weighted."""
        label = self._label(scored)
        own = cross_entropy(self._logits(scored.fake), label)
        return self.weight * (own - cross_entropy(self._logits(scored.fake, 1), label))


class DiscriminativeClassifier(ClassHead):
    """ADC-GAN: one head over 2 K classes, real ones 0..K-1 and fake ones K..2K-1: critic CE(r, y) + CE(f, K+y),
    generator E log p(fake y | f) - log p(real y | f) (Hou et al. 2022, eq. 9 and 10).

    When to use: the first choice among class heads; it teaches the generator p(x, y) instead of p(y | x).
    """

    name: ClassVar[str] = "adc-gan"
    heads: ClassVar[int] = 2  # one softmax over both

    def _both(self, output: CriticOutput) -> Tensor:
        features = at_least_float32(pooled(output.features[-1]))
        return torch.cat([head(features) for head in self.head], dim=1)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The critic's part, weighted."""
        label = self._label(scored)
        real, fake = self._both(scored.real), self._both(scored.fake)
        classes = real.shape[1] // 2
        return self.weight * (cross_entropy(real, label) + cross_entropy(fake, classes + label))

    def generator_term(self, scored: Scored) -> Tensor:
        """The generator's part, weighted: 0 where both slots are equally likely."""
        label = self._label(scored)
        logits = self._both(scored.fake)
        classes = logits.shape[1] // 2
        return self.weight * (cross_entropy(logits, label) - cross_entropy(logits, classes + label))


class Information(Regularizer):
    """InfoGAN: ``-E log Q(c | G(z, c))`` for both networks (Chen et al. 2016, eq. 5): a bound on the mutual information
    of code and sample. Q's head learns in the critic's phase, the generator in its own.

    When to use: tasks whose generator takes a code (``Judged.code``): int64 codes are categories (cross-entropy), float
    codes are Gaussian with unit variance (half the squared error).

    Args:
        categories: of an int64 code.
        dimensions: of a float code; give one of the two.

    Raises:
        UsageError: neither categories nor dimensions are given, or the task's generator takes no code.
    """

    name: ClassVar[str] = "info-gan"
    phases: ClassVar = ("discriminator", "generator")
    uses_outputs: ClassVar[bool] = True
    uses_features: ClassVar[bool] = True

    def __init__(self, weight: float = 1.0, categories: int = 0, dimensions: int = 0) -> None:
        super().__init__()
        if (categories > 0) == (dimensions > 0):
            raise UsageError("info-gan: give categories (of an int64 code) or dimensions (of a float code)")
        self.weight = weight
        self.size = categories or dimensions

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Make Q's head."""
        discriminator = super().apply_to(discriminator, view)
        self.head = nn.Linear(discriminator.feature_width, self.size)  # type: ignore[arg-type]
        return discriminator

    def _term(self, scored: Scored) -> Tensor:
        code = scored.judged.code
        if code is None:
            raise UsageError("info-gan needs a task whose generator takes a code (Judged.code); this one takes none")
        found = self.head(at_least_float32(pooled(scored.fake.features[-1])))
        if code.is_floating_point():
            return self.weight * 0.5 * self.size * mse_loss(found, code.to(found))
        return self.weight * cross_entropy(found, code)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """Q's part, weighted."""
        return self._term(scored)

    def generator_term(self, scored: Scored) -> Tensor:
        """The generator's part, weighted."""
        return self._term(scored)
