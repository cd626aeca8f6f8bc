"""Guards at run time: what goes wrong between two networks, said in words, with what to change."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from advtasks.distributed import all_mean, gather, rank, whole_tensor
from advtasks.regularizers.spectral import WEIGHTED, as_matrix
from advtasks.training.best import Best

SURE = 0.97
"""A critic that is right about more than this share of both real and fake is sure of itself."""
WATCHED = "diversity"
"""The name under which the spread of fakes is recorded."""
IN_A_ROW = 5
"""Records that must agree before a warning."""
WORSE, VALIDATIONS = 0.05, 3
"""How much worse than its best a metric must be, relative to it, and in how many validations in a row."""


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The norm of all gradients together."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return whole_tensor(torch.stack(torch._foreach_norm(gradients)).norm())


@torch.no_grad()
def batch_diversity(real: Tensor, fake: Tensor) -> Tensor:
    """How far neighbours in the batch of fakes lie apart, relative to the reals: about 1 is healthy, 0 is one fake for
    everything. Of the whole batch, of which each rank has its part: one sample is exchanged."""

    def spread(samples: Tensor) -> Tensor:
        samples = samples.float()
        last = gather(samples[-1:])[rank() - 1]  # of the rank before; of the last one for the first
        return all_mean((samples - torch.cat((last[None], samples[:-1]))).abs().mean())

    return spread(fake) / spread(real).clamp(min=1e-12)


@torch.no_grad()
def largest_singular_values(network: nn.Module, iterations: int = 15) -> dict[str, float]:
    """The spectral norm of each layer's weight as it is used, by power iteration from a fixed start."""
    found = {}
    modes = [(module, module.training) for module in network.modules()]
    network.eval()  # in training mode, looking at a spectrally normalised weight moves its estimate
    for name, layer in network.named_modules():
        if isinstance(layer, WEIGHTED):
            matrix = as_matrix(layer).float()
            vector = torch.linspace(0.5, 1.5, matrix.shape[1], device=matrix.device)
            for _ in range(iterations):
                vector = nn.functional.normalize(matrix.T @ (matrix @ vector), dim=0)
            found[name] = (matrix @ vector).norm().item()
    for module, training in modes:
        module.training = training
    return found


@dataclass
class Monitor:
    """Reads the records of a run, one for each ``log_every`` steps, and says what it sees.

    The record's names: ``accuracy/real``, ``accuracy/fake``, ``logit/real``, ``logit/fake``, ``diversity``,
    ``gradient-norm/...``; names of several views end in the view.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    streaks: dict[str, int] = field(default_factory=dict)
    """How many records in a row showed it; negative: it was said, and not again until it was gone."""

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"history": {k: list(v) for k, v in self.history.items()}, "streaks": dict(self.streaks)}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history, self.streaks = state["history"], state["streaks"]

    def restart(self) -> None:
        """A new stage: other networks may be at work."""
        self.history.clear()
        self.streaks.clear()

    def look(self, values: Mapping[str, float]) -> list[str]:
        """What to tell the user after one more record; mostly nothing."""
        said = []
        for name in values:
            if name.startswith("accuracy/real"):
                said += self._critic(values, name.removeprefix("accuracy/real"))
            if name.startswith(WATCHED):
                said += self._collapse(name, values[name])
        for name, value in values.items():
            if name.startswith((WATCHED, "gradient-norm/")):
                self.history[name] = [*self.history.get(name, []), value][-200:]
        return said

    def look_at_singular_value(self, view: str, layer: str, value: float) -> list[str]:
        """What to tell the user of a critic's largest spectral norm, at one more validation."""
        before = self.history.get(f"singular-value/{view}", [])
        self.history[f"singular-value/{view}"] = [*before, value][-200:]
        if not before or value < 10 * before[0] or max(before) >= 10 * before[0]:
            return []
        return [
            f"the spectral norm of {layer} in the critic of {view} grew from {before[0]:.3g} to {value:.3g}, which "
            "comes before divergence: add --adversary.regularizers spectral-norm, or lower --adversary.learning-rate"
        ]

    def look_at_validation(self, best: Best) -> list[str]:
        """What to tell the user of the metric that ``--keep-best`` names, or the task's first, at one more validation
        of a stage."""
        name = str(best.chosen)
        if name not in best.values or name not in best.last:
            return []
        (value, step), last = best.values[name], best.last[name]
        return self._after(
            f"validation/{name}",
            math.isnan(last) or abs(last - value) > WORSE * abs(value),  # the best itself is 0 away
            f"{name} has been worse than its best in this stage ({value:.4g} at step {step}) for {VALIDATIONS} "
            f"validations, by {abs(last - value) / max(abs(value), 1e-12):.1%} now ({last:.4g}). The bundle is the "
            f"last unless --keep-best {name} keeps the best; --early-stopping N ends a stage that gets no better",
            VALIDATIONS,
        )

    def diverged(self, values: Mapping[str, float]) -> str | None:
        """Whether a gradient is far beyond anything before, in words. Looks at the history before :meth:`look`."""
        for name, value in values.items():
            before = self.history.get(name, [])
            if name.startswith("gradient-norm/") and len(before) >= 10:
                usual = statistics.median(before)
                if usual > 0 and value > 1000 * usual:
                    return f"{name} is {value:.3g}, {value / usual:.0f} times its median so far"
        return None

    def _critic(self, values: Mapping[str, float], view: str) -> list[str]:
        real, fake = values[f"accuracy/real{view}"], values[f"accuracy/fake{view}"]
        gap = values[f"logit/real{view}"] - values[f"logit/fake{view}"]
        before = self.history.get(f"logit-gap{view}", [])
        growing = len(before) >= IN_A_ROW and gap > 1.2 * abs(before[-IN_A_ROW])
        self.history[f"logit-gap{view}"] = [*before, gap][-200:]
        said = self._after(
            f"sure{view}",
            real > SURE and fake > SURE and growing,
            f"the critic{view.replace('/', ' of ')} is right about {real:.0%} of real and {fake:.0%} of fake samples "
            f"and its logit gap grows ({gap:.3g}): the generator learns little from it. Add a gradient penalty "
            "(--adversary.regularizers r1), lower --adversary.learning-rate, or add --adversary.augments "
            "instance-noise",
        )
        return said + self._after(
            f"lost{view}",
            real < 0.4 and fake < 0.4,
            f"the critic{view.replace('/', ' of ')} is wrong about most samples ({real:.0%} of real, {fake:.0%} of "
            "fake right): raise --adversary.learning-rate or --adversary.steps-per-generator-step",
        )

    def _collapse(self, name: str, diversity: float) -> list[str]:
        best = max(self.history.get(name, [diversity]))
        view = name.removeprefix(WATCHED).replace("/", " of ")
        return self._after(
            name,
            diversity < 0.1 or diversity < 0.2 * best,
            f"the fakes of a batch{view} differ {diversity:.0%} as much as real samples do ({best:.0%} before): modes "
            "are lost. Use --adversary.loss relativistic-paired with --adversary.regularizers r1,r2, a critic with "
            "minibatch=stddev, --adversary.pack 2, or lower the generator's learning rate",
        )

    def _after(self, what: str, seen: bool, text: str, times: int = IN_A_ROW) -> list[str]:
        """`text` once `what` was seen some records in a row; then silence until it has gone."""
        streak = self.streaks.get(what, 0)
        if not seen:
            self.streaks[what] = 0
        elif streak >= 0:
            self.streaks[what] = streak + 1
            if streak + 1 >= times:
                self.streaks[what] = -1
                return [text]
        return []
