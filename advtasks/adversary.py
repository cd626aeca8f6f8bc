"""The adversary: a discriminator, an adversarial loss, a weight and regularizers, for any objective.

In somebody's own loop it takes two lines::

    adversary = Adversary(PatchDiscriminator(3), loss="hinge", regularizers=["r1"])
    ...
    loss = my_loss + adversary.term(fake, real)   # the generator's adversarial term, weighted
    adversary.update(fake, real)                  # one step of the critic
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from advtasks import components
from advtasks.errors import UsageError
from advtasks.losses import AdversarialLoss
from advtasks.phase import Phase, make_adam
from advtasks.regularizers import Regularizer
from advtasks.schedule import Schedule
from advtasks.task import Judged, Term, Terms


class Adversary(nn.Module):
    """A critic and what it takes to train against it.

    Args:
        discriminator: called as ``discriminator(picture)``, or ``discriminator(picture, condition)`` where there is
            a condition; gives logits of any shape that starts with N. It has no sigmoid.
        loss: an :class:`AdversarialLoss`, or its name with options, for example ``"least-squares:a=-1"``.
        weight: of the generator's term: a number, a :class:`Schedule`, or its text ``"0@0,0.005@1000"``. While it
            is 0 the critic learns and the generator's term is not computed.
        regularizers: objects, or names with options such as ``"r1:gamma=10:interval=16"``.
        label_smoothing: one-sided: the target of real pictures is 1 - label_smoothing (Salimans et al. 2016, 3.4).
        learning_rate, betas: of the critic's Adam, made at the first :meth:`update` or :meth:`phases`.

    Raises:
        UsageError: an unknown name or option, or a combination that makes no sense.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        loss: AdversarialLoss | str = "non-saturating",
        *,
        weight: float | str | Schedule = 1.0,
        regularizers: Sequence[Regularizer | str] = (),
        label_smoothing: float = 0.0,
        learning_rate: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.99),
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.loss: AdversarialLoss = components.build("losses", loss) if isinstance(loss, str) else loss
        if label_smoothing:
            self.loss = self.loss.with_label_smoothing(label_smoothing)
        self.weight = Schedule.of(weight)
        self.regularizers = nn.ModuleList(
            components.build("regularizers", item) if isinstance(item, str) else item for item in regularizers
        )
        names = [regularizer.name for regularizer in self._regularizers()]
        if len(set(names)) != len(names):
            raise UsageError(f"regularizers are named twice: {', '.join(names)}")
        for regularizer in self._regularizers():
            regularizer.apply_to(discriminator)
        self.learning_rate = learning_rate
        self.betas = betas
        self.autocast: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
        """The precision of the main terms. Penalties stay outside it, in float32."""
        self.optimizer: Adam | None = None
        self._updates = 0

    def get_extra_state(self) -> int:
        """The number of updates, for schedules and lazy intervals."""
        return self._updates

    def set_extra_state(self, state: int) -> None:
        """Go on counting updates."""
        self._updates = state

    def _regularizers(self) -> Iterator[Regularizer]:
        for regularizer in self.regularizers:
            assert isinstance(regularizer, Regularizer)
            yield regularizer

    def criticize(self, picture: Tensor, condition: Tensor | None = None) -> Tensor:
        """The critic's logits, float32."""
        arguments = (picture,) if condition is None else (picture, condition)
        logits: Tensor = self.discriminator(*arguments)
        return logits.float()

    def generator_terms(self, judged: Judged, step: int = 0) -> Terms:
        """The adversarial term and the generator's regularizers, with their weights at `step` of the stage.

        Gradients reach ``judged.fake`` and no parameter of the critic. Empty while the weight is 0.
        """
        weight = self.weight(step)
        if weight == 0:
            return {}
        terms: Terms = {}
        with _frozen(self.discriminator), self.autocast():
            fake_logits = self.criticize(judged.fake, judged.condition)
            real_logits = None
            if self.loss.needs_real:
                with torch.no_grad():
                    real_logits = self.criticize(judged.real, judged.condition)
            terms["adversarial"] = Term(self.loss.generator(fake_logits, real_logits), weight)
            for regularizer in self._regularizers():
                if regularizer.phase == "generator":
                    value = regularizer.term(self.discriminator, judged)
                    if value is not None:
                        terms[regularizer.name] = Term(value, weight)
        return terms

    def discriminator_terms(self, judged: Judged) -> Terms:
        """The critic's loss on detached pictures, and its regularizers of interval 1."""
        judged = _detached(judged)
        with self.autocast():
            real_logits = self.criticize(judged.real, judged.condition)
            fake_logits = self.criticize(judged.fake, judged.condition)
            terms = {"discriminator": Term(self.loss.discriminator(real_logits, fake_logits))}
        for regularizer in self._regularizers():
            if regularizer.phase == "discriminator" and regularizer.interval == 1:
                terms.update(self._penalty(regularizer, judged))
        terms["logit/real"] = Term(real_logits.detach().mean(), 0.0)
        terms["logit/fake"] = Term(fake_logits.detach().mean(), 0.0)
        return terms

    def _penalty(self, regularizer: Regularizer, judged: Judged) -> Terms:
        with torch.autocast(judged.real.device.type, enabled=False):
            value = regularizer.term(self.discriminator, judged)
        return {} if value is None else {regularizer.name: Term(value, float(regularizer.interval))}

    def _lazy_penalty(self, regularizer: Regularizer, judged: Judged) -> Terms:
        return self._penalty(regularizer, _detached(judged))

    def phases(self) -> list[Phase[Judged]]:
        """The critic's phases: its main step, and one for each lazy regularizer."""
        lazy = [r for r in self._regularizers() if r.phase == "discriminator" and r.interval > 1]
        correction = 1.0 / (1.0 + sum(1.0 / r.interval for r in lazy))  # k / (k + 1) for a single one
        self.optimizer = make_adam(self.discriminator, self.learning_rate, self.betas, correction)
        phases = [Phase(name="discriminator", optimizer=self.optimizer, terms=self.discriminator_terms)]
        for regularizer in lazy:
            phases.append(
                Phase(
                    name=f"discriminator-{regularizer.name}",
                    optimizer=self.optimizer,
                    terms=functools.partial(self._lazy_penalty, regularizer),
                    interval=regularizer.interval,
                )
            )
        return phases

    def term(self, fake: Tensor, real: Tensor, condition: Tensor | None = None) -> Tensor:
        """The generator's weighted adversarial loss (with its regularizers), to add to any objective.

        Args:
            fake: generated pictures (N, C, H, W), with their graph.
            real: real pictures of the same shape.
            condition: what both depend on, or None.
        """
        terms = self.generator_terms(Judged(real, fake, condition), self._updates)
        return sum((t.value * t.weight for t in terms.values()), torch.zeros((), device=fake.device))

    def update(self, fake: Tensor, real: Tensor, condition: Tensor | None = None) -> dict[str, float]:
        """One training step of the critic, lazy regularizers included. Gives its terms by name."""
        if self.optimizer is None:
            self._phases = self.phases()
        judged = Judged(real, fake, condition)
        values: dict[str, float] = {}
        for phase in self._phases:
            if phase.due(self._updates):
                values.update({name: float(term.value.detach()) for name, term in phase.run(judged).items()})
        self._updates += 1
        return values


def _detached(judged: Judged) -> Judged:
    condition = None if judged.condition is None else judged.condition.detach()
    return Judged(judged.real.detach(), judged.fake.detach(), condition)


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Parameters without gradient, so that a generator step neither computes nor stores the critic's gradients."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
