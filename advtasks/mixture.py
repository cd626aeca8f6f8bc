"""MIX+GAN (Arora et al. 2017, section 5): a mixture of critics, and of generators, with learned weights."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from advtasks.adversary import Adversary
from advtasks.errors import UsageError
from advtasks.optimizers import make_optimizer
from advtasks.phase import Phase
from advtasks.task import Judged, Term, Terms, judged_of, read


def mixture_payoff(payoffs: Tensor, generator_logits: Tensor, critic_logits: Tensor) -> Tensor:
    """``Σ_ij α_u(i) α_v(j) F(G_i, D_j)`` for payoffs F (T_u, T_v), α the softmax of the logits (section 5). T = 1 is
    the plain game; equal logits give the mean over the pairs."""
    return torch.softmax(generator_logits, 0) @ payoffs @ torch.softmax(critic_logits, 0)


def entropy_regularizer(logits: Tensor) -> Tensor:
    """``-(1/T) Σ log α(i)``: keeps every component in play (section 5); log T at least, where all weigh alike."""
    return -torch.log_softmax(logits, 0).mean()


class MixtureAdversary(nn.Module):
    """Several critics of equal kind, each an :class:`Adversary`, joined by weights that are trained with them.

    It offers what an adversary offers. With several generators, give :meth:`term` and :meth:`update` the fakes of each,
    and the logits of their weights as a parameter of your own optimizer.

    Args:
        adversaries: at least one; their losses, weights and regularizers should be the same.
        entropy: weight of :func:`entropy_regularizer` for the critics' weights.

    Raises:
        UsageError: no adversary is given.
    """

    def __init__(self, adversaries: Sequence[Adversary], entropy: float = 0.01) -> None:
        super().__init__()
        if not adversaries:
            raise UsageError("a mixture needs at least one adversary")
        self.adversaries = nn.ModuleList(adversaries)
        self.logits = nn.Parameter(torch.zeros(len(adversaries)))
        self.entropy = entropy
        self._updates = 0
        self.optimizer: Optimizer | None = None
        self._phases: list[Phase[tuple[Judged, int]]] | None = None
        self._each: list[list[Phase[tuple[Judged, int]]]] = []
        """Of each critic."""

    def _all(self) -> list[Adversary]:
        return list(self.adversaries)  # type: ignore[arg-type]

    def get_extra_state(self) -> int:
        """The number of updates."""
        return self._updates

    def set_extra_state(self, state: int) -> None:
        """Go on counting updates."""
        self._updates = state

    @property
    def discriminator(self) -> nn.Module:
        """All critics."""
        return nn.ModuleList(adversary.discriminator for adversary in self._all())

    @property
    def regularizers(self) -> nn.ModuleList:
        """Of the first critic, as of all."""
        return self._all()[0].regularizers

    @property
    def pack(self) -> int:
        """Samples that a critic judges at once."""
        return self._all()[0].pack

    def set_precision(
        self, autocast: Callable[[], AbstractContextManager[Any]], scaler: GradScaler | None = None
    ) -> None:
        """See :meth:`Adversary.set_precision`."""
        for adversary in self._all():
            adversary.set_precision(autocast, scaler)

    def prepare_for_rehearsal(self) -> None:
        """See :meth:`Adversary.prepare_for_rehearsal`."""
        for adversary in self._all():
            adversary.prepare_for_rehearsal()

    def weights(self) -> Tensor:
        """α_v."""
        return torch.softmax(self.logits, 0)

    def _mixed(self, parts: Sequence[Terms], weights: Tensor) -> Terms:
        """Terms of equal name joined by the weights; what is only logged as plain means."""
        mixed: Terms = {}
        for name, first in parts[0].items():
            values = torch.stack([part[name].value for part in parts])
            value = weights @ values if first.weight else values.mean()
            mixed[name] = dataclasses.replace(first, value=value)
        return mixed

    def generator_terms(self, judged: Judged, step: int = 0) -> Terms:
        """The generator's terms against the mixture; gradients reach neither critics nor their weights."""
        parts = [adversary.generator_terms(judged, step) for adversary in self._all()]
        return self._mixed(parts, self.weights().detach()) if parts[0] else {}

    def phases(self) -> list[Phase[tuple[Judged, int]]]:
        """As :meth:`Adversary.phases`, each for all critics together; the main one trains the weights, too."""
        each = [adversary.phases() for adversary in self._all()]
        first = self._all()[0]
        group = each[0][0].optimizer.param_groups[0]  # learning rate and betas with the lazy correction
        optimizer = make_optimizer(first.optimizer_name, self, group["lr"], group.get("betas", first.betas))
        assert first.optimizer is not None
        self.optimizer = optimizer
        for adversary in self._all():
            adversary.optimizer = optimizer
        self._each = each
        self._phases = [
            dataclasses.replace(
                phase,
                optimizer=optimizer,
                terms=functools.partial(self._joined, number),
                after=functools.partial(self._after, number),
            )
            for number, phase in enumerate(each[0])
        ]
        return self._phases

    def _joined(self, number: int, scene: tuple[Judged, int]) -> Terms:
        """The terms of the phases of one number of all critics; only what they play for chooses among them."""
        parts = [phases[number].terms(scene) for phases in self._each]
        found = self._mixed(parts, self.weights().detach())
        if number == 0:
            payoff = {"discriminator", *(r.name for r in self._all()[0].regularizers if r.share_of_loss)}
            played = [{name: term for name, term in part.items() if name in payoff} for part in parts]
            found |= self._mixed(played, self.weights())
            found["mixture-entropy"] = Term(entropy_regularizer(self.logits), self.entropy)
            found["mixture/largest"] = Term(self.weights().detach().max(), 0.0)
        return found

    def _after(self, number: int) -> None:
        for phases in self._each:
            if (after := phases[number].after) is not None:
                after()

    def term(
        self,
        fakes: Tensor | Judged | Sequence[Tensor | Judged],
        real: Tensor | None = None,
        condition: Tensor | None = None,
        generator_logits: Tensor | None = None,
        entropy: float = 0.01,
    ) -> Tensor:
        """The weighted adversarial loss of one generator, or of several with the logits (T_u,) of their weights; each
        as :meth:`Adversary.term` takes it.

        Raises:
            UsageError: several generators, and no logits, or not one for each.
        """
        if isinstance(fakes, (Tensor, Judged)):
            fakes = [fakes]
        if len(fakes) > 1 and (generator_logits is None or generator_logits.shape != (len(fakes),)):
            raise UsageError(f"{len(fakes)} generators need as many generator_logits")
        values = []
        for fake in fakes:
            judged = judged_of(fake, real, condition)
            terms = self.generator_terms(judged, self._updates)
            values.append(sum((t.value * t.weight for t in terms.values()), torch.zeros((), device=judged.fake.device)))
        if generator_logits is None:
            return values[0]
        weights = torch.softmax(generator_logits, 0)
        return weights @ torch.stack(values) + entropy * entropy_regularizer(generator_logits)

    def update(
        self,
        fakes: Tensor | Judged | Sequence[Tensor | Judged],
        real: Tensor | None = None,
        condition: Tensor | None = None,
        generator_logits: Tensor | None = None,
    ) -> dict[str, float]:
        """One training step of all critics and their weights against the mixture of generators. Gives its terms.

        The critics look at each generator in turn; parts with state (ADA, LeCam, BEGAN) move once for each of them.
        """
        if isinstance(fakes, (Tensor, Judged)):
            fakes = [fakes]
        even = torch.zeros(len(fakes), device=self.logits.device)
        weights = torch.softmax(even if generator_logits is None else generator_logits.detach(), 0)
        found: Terms = {}
        for phase in self._phases or self.phases():
            if phase.due(self._updates):
                shown = [judged_of(fake, real, condition) for fake in fakes]

                def terms(
                    scene: Sequence[Judged], phase: Phase[tuple[Judged, int]] = phase, weights: Tensor = weights
                ) -> Terms:
                    return self._mixed([phase.terms((judged, self._updates)) for judged in scene], weights)

                mixed: Phase[Sequence[Judged]] = dataclasses.replace(phase, terms=terms)  # type: ignore[arg-type, assignment]
                found.update(mixed.run(shown))
        self._updates += 1
        return read(found)


AnyAdversary = Adversary | MixtureAdversary
"""What a trainer plays against."""
