"""The adversary: a discriminator, an adversarial loss, a weight and regularizers, for any objective.

In somebody's own loop it takes two lines::

    adversary = Adversary(PatchDiscriminator(3), loss="hinge", regularizers=["r1"])
    ...
    loss = my_loss + adversary.term(fake, real)   # the generator's adversarial term, weighted
    adversary.update(fake, real)                  # one step of the critic
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from advtasks import components
from advtasks.augments import Augment, pack
from advtasks.combinations import check_combination
from advtasks.discriminators import CriticOutput, ProjectionDiscriminator, criticize
from advtasks.distributed import world_size
from advtasks.errors import UsageError
from advtasks.losses import AdversarialLoss
from advtasks.main_path import MainPath
from advtasks.observed import observed
from advtasks.optimizers import make_optimizer
from advtasks.phase import Phase, frozen
from advtasks.regularizers import Regularizer, Scored, critic_term
from advtasks.schedule import Schedule
from advtasks.shared_pass import SharedPass
from advtasks.task import Judged, Term, Terms, View, judged_of, read

Conditioning = Literal["concat", "projection", "none"]
Updates = Literal["alternating", "simultaneous"]


class Adversary(nn.Module):
    """A critic and what it takes to train against it.

    Args:
        discriminator: called as ``discriminator(picture)``, or ``discriminator(picture, condition)`` where there is
            a condition; gives logits of any shape that starts with N. It has no sigmoid.
        loss: an :class:`AdversarialLoss`, or its name with options, for example ``"least-squares:a=-1"``.
        weight: of the generator's term: a number, a :class:`Schedule`, or its text ``"0@0,0.005@1000"``. While it
            is 0 the critic learns and the generator's term is not computed.
        regularizers: objects, or names with options such as ``"r1:gamma=10:interval=16"``, in a list or one text.
        augments: what real and fake pass before the critic: objects, or names such as ``"diffaugment"``.
        conditioning: ``concat``: the critic is given the condition, to join it; ``projection``: a projection head on
            its features (classes and embeddings); ``none``: it does not see it.
        pack: m of PacGAN (Lin et al. 2018): the critic sees m samples at once, joined by channels.
        view: what the task shows: the number of classes or the width of an embedding, for heads.
        label_smoothing: one-sided: the target of real pictures is 1 - label_smoothing (Salimans et al. 2016, 3.4).
        optimizer: name of the critic's optimiser with options, for example ``"adamw:weight_decay=0.01"``.
        learning_rate, betas: of that optimiser, made at the first :meth:`update` or :meth:`phases`. A rate of its
            own is the two time-scale update rule (Heusel et al. 2017).
        clip_norm: the critic's gradients together are shortened to this norm; 0 leaves them.
        compile: run the main terms through a compiled critic, and penalties through the plain one, which shares its
            weights: a compiled critic has no second derivative.
        updates: ``simultaneous``: the generator's terms come first, and :meth:`update` on the same tensors (not
            ``fake.detach()``) takes up the pass that they made, so that both networks answer the same state of the
            game with one pass less.
        accumulate: pieces in which main terms and penalties of single samples run over a batch: the memory of one
            piece, the result of the whole batch (:mod:`advtasks.pieces`).

    Raises:
        UsageError: an unknown name or option, or a combination that makes no sense.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        loss: AdversarialLoss | str = "non-saturating",
        *,
        weight: float | str | Schedule = 1.0,
        regularizers: Sequence[Regularizer | str] | str = (),
        augments: Sequence[Augment | str] | str = (),
        conditioning: Conditioning = "concat",
        pack: int = 1,
        view: View | None = None,
        label_smoothing: float = 0.0,
        optimizer: str = "adam",
        learning_rate: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.99),
        clip_norm: float = 0.0,
        compile: bool = False,
        updates: Updates = "alternating",
        accumulate: int = 1,
    ) -> None:
        super().__init__()
        view = view or View()
        self.loss: AdversarialLoss = components.build("losses", loss) if isinstance(loss, str) else loss
        if label_smoothing:
            self.loss = self.loss.with_label_smoothing(label_smoothing)
        self.weight = Schedule.of(weight)
        self.conditioning, self.pack = conditioning, pack
        if pack < 1:
            raise UsageError(f"pack must be at least 1, got {pack}")
        if conditioning == "projection":
            discriminator = ProjectionDiscriminator(discriminator, classes=view.classes, embedding=view.embedding)
        built = components.build_each("regularizers", regularizers)
        made = components.build_each("augments", augments)
        for regularizer in sorted(built, key=lambda item: bool(item.phases)):  # first those that change the critic
            discriminator = regularizer.apply_to(discriminator, view)
        check_combination(discriminator, self.loss, built, made, conditioning, view, pack)
        self.discriminator = discriminator
        self.regularizers, self.augments = nn.ModuleList(built), nn.ModuleList(made)
        self.optimizer_name, self.learning_rate, self.betas, self.clip_norm = optimizer, learning_rate, betas, clip_norm
        self.autocast: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
        self.measure: Callable[[str], AbstractContextManager[Any]] = contextlib.nullcontext  # a trainer's clock
        self.scaler: GradScaler | None = None
        self.optimizer: Optimizer | None = None
        self.main = MainPath(discriminator, compile, accumulate, features=any(item.uses_features for item in built))
        once = compile or accumulate > 1  # one can go back through such a pass a single time
        shared = updates == "simultaneous" and not once and all(item.same_in_both_phases for item in made)
        self.passes = SharedPass() if shared else None
        self._updates = 0
        self._phases: list[Phase[tuple[Judged, int]]] | None = None
        placed = next(discriminator.parameters(), None)
        if placed is not None:  # heads and buffers that were made here join the critic where it is
            self.to(placed.device, placed.dtype if placed.element_size() >= 4 else None)

    def get_extra_state(self) -> int:
        """The number of updates, for schedules and lazy intervals."""
        return self._updates

    def set_extra_state(self, state: int) -> None:
        """Go on counting updates."""
        self._updates = state

    def set_precision(
        self, autocast: Callable[[], AbstractContextManager[Any]], scaler: GradScaler | None = None
    ) -> None:
        """Run the main terms within `autocast()`, with a loss scaler of its own for float16; penalties stay outside
        it, in float32."""
        self.autocast, self.scaler = autocast, scaler

    def prepare_for_rehearsal(self) -> None:
        """Run everything through the plain critic, with every term on."""
        self.main = MainPath(self.discriminator)
        self.weight = Schedule.of(1.0)
        for regularizer in self._regularizers():
            regularizer.prepare_for_rehearsal()

    def _regularizers(self) -> list[Regularizer]:
        return list(self.regularizers)  # type: ignore[arg-type]

    def _augments(self) -> list[Augment]:
        return list(self.augments)  # type: ignore[arg-type]

    def seen(self, judged: Judged, step: int) -> Judged:
        """`judged` as the critic sees it: augmented and packed."""
        paired = any(regularizer.paired for regularizer in self._regularizers())
        for augment in self._augments():
            judged = augment(judged, step, paired)
        return pack(judged, self.pack)

    def condition(self, judged: Judged) -> Tensor | None:
        """What the critic is given of the condition."""
        return None if self.conditioning == "none" else judged.condition

    def criticize(self, picture: Tensor, condition: Tensor | None = None) -> Tensor:
        """The critic's logits, float32."""
        return criticize(self.discriminator, picture, condition).logits

    def _scored(self, judged: Judged, step: int) -> Scored:
        return Scored(self.discriminator, judged, self.condition(judged), self.loss, step)

    def generator_terms(self, judged: Judged, step: int = 0) -> Terms:
        """The adversarial term and the generator's regularizers, with their weights at `step` of the stage.

        Gradients reach ``judged.fake`` and no parameter of the critic. Empty while the weight is 0.
        """
        weight = self.weight(step)
        if weight == 0:
            return {}
        regularizers = self._regularizers()
        scored = self._scored(self.seen(judged, step), step)
        for regularizer in regularizers:
            regularizer.prepare(scored)
            scored = dataclasses.replace(scored, critic=regularizer.critic_for_generator(scored))
        real, fake = outputs = self._for_generator(scored, judged)
        real_logits, fake_logits = None if real is None else real.logits, fake.logits
        with frozen(self):
            for regularizer in regularizers:
                fake_logits, real_logits = regularizer.select(fake_logits, real_logits, step)
            terms = {"adversarial": Term(self.loss.generator(fake_logits, real_logits), weight)}
            scored = dataclasses.replace(scored, outputs=outputs)
            for regularizer in regularizers:
                value = regularizer.generator_term(scored) if "generator" in regularizer.phases else None
                if value is not None:
                    both = "discriminator" in regularizer.phases  # a name for each phase: they are logged apart
                    terms[f"{regularizer.name}/generator" if both else regularizer.name] = Term(value, weight)
        return terms

    def _for_generator(self, scored: Scored, shown: Judged) -> tuple[CriticOutput | None, CriticOutput]:
        """Of real samples, where somebody asks, and of fakes; no gradient reaches the critic."""
        judged, own = scored.judged, scored.critic is self.discriminator
        output = self.main if own else MainPath(scored.critic)  # one that depends on the fakes
        with self.autocast() if own else contextlib.nullcontext():
            if own and self.passes is not None:
                return self.passes.leave(self.main, shown, scored)
            fake, real = output(judged.fake, scored.condition, freeze=self), None
            if self.loss.needs_real or any(r.uses_real_output for r in self._regularizers()):
                with torch.set_grad_enabled(not own):
                    real = output(judged.real, scored.condition, freeze=self)
        return real, fake

    def discriminator_terms(self, judged: Judged, step: int = 0) -> Terms:
        """The critic's loss on detached samples, its regularizers of interval 1, and what it thinks (weight 0):
        ``logit/real``, ``logit/fake``, ``accuracy/real``, ``accuracy/fake``."""
        regularizers, scored = self._regularizers(), None if self.passes is None else self.passes.take(judged)
        if scored is None:
            judged = self.seen(judged.detached(), step)
            scored = self._scored(judged, step)
            for regularizer in regularizers:
                regularizer.prepare(scored)
            with self.autocast():
                outputs = self.main.both(judged.real, judged.fake, scored.condition)
            scored = dataclasses.replace(scored, outputs=outputs)
        real, fake = scored.real.logits, scored.fake.logits
        with self.autocast():
            value = self.loss.discriminator(real, fake)
        terms = {"discriminator": Term(value, 1 - sum(r.share_of_loss for r in regularizers))}
        for regularizer in regularizers:
            if regularizer.interval == 1:
                terms.update(self._critic_term(regularizer, scored))
        samples = len(real) * self.pack * world_size()
        terms.update(observed(real.detach(), fake.detach(), self.loss, self._augments(), regularizers, step, samples))
        return terms

    def _critic_term(self, regularizer: Regularizer, scored: Scored) -> Terms:
        if "discriminator" not in regularizer.phases:
            return {}
        with self.measure("penalty"), torch.autocast(scored.judged.real.device.type, enabled=False):
            value = critic_term(regularizer, scored, self.main.accumulate)
        weight = regularizer.share_of_loss or float(regularizer.interval)
        return {} if value is None else {regularizer.name: Term(value, weight)}

    def phases(self) -> list[Phase[tuple[Judged, int]]]:
        """The critic's phases, which take what it judges and the step: its main one, and one for each lazy
        regularizer."""
        lazy = [r for r in self._regularizers() if "discriminator" in r.phases and r.interval > 1]
        correction = 1.0 / (1.0 + sum(1.0 / r.interval for r in lazy))  # k / (k + 1) for a single one
        self.optimizer = make_optimizer(self.optimizer_name, self, self.learning_rate, self.betas, correction)
        self._phases = [
            Phase(
                name=f"discriminator-{regularizer.name}" if regularizer else "discriminator",
                optimizer=self.optimizer,
                terms=functools.partial(self._phase_terms, regularizer),  # copied and pickled with this adversary
                interval=regularizer.interval if regularizer else 1,
                after=self._after_step,
                clip_norm=self.clip_norm,
                scaler=self.scaler,
            )
            for regularizer in (None, *lazy)
        ]
        return self._phases

    def _phase_terms(self, regularizer: Regularizer | None, scene: tuple[Judged, int]) -> Terms:
        judged, step = scene
        if regularizer is None:
            return self.discriminator_terms(judged, step)
        return self._critic_term(regularizer, self._scored(self.seen(judged.detached(), step), step))

    def _after_step(self) -> None:
        for regularizer in self._regularizers():
            regularizer.after_step(self.discriminator)

    def term(self, fake: Tensor | Judged, real: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """The generator's weighted adversarial loss (with its regularizers), to add to any objective.

        Args:
            fake: generated pictures (N, C, H, W), with their graph; or all that regularizers may want to see.
            real: real pictures of the same shape.
            condition: what both depend on, or None.
        """
        judged = judged_of(fake, real, condition)
        terms = self.generator_terms(judged, self._updates)
        return sum((t.value * t.weight for t in terms.values()), torch.zeros((), device=judged.fake.device))

    def update(
        self, fake: Tensor | Judged, real: Tensor | None = None, condition: Tensor | None = None
    ) -> dict[str, float]:
        """One training step of the critic on (N, C, H, W) in [0, 1] or points (N, C), lazy regularizers included; no
        gradient goes back through them. Gives its terms by name."""
        judged, terms = judged_of(fake, real, condition), Terms()
        for phase in self._phases or self.phases():
            if phase.due(self._updates):
                terms.update(phase.run((judged, self._updates)))
        self._updates += 1
        return read(terms)
