"""Running means of loss terms on the device, and the check that all is finite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from advtasks.distributed import all_mean, whole_tensor, world_size
from advtasks.errors import Diverged
from advtasks.process_group import gathered
from advtasks.task import Terms

SKIPPED = 20
"""Steps in a row that a loss scaler may skip for a term that is not finite, before training stops."""


class Meters:
    """Sums of named scalars, kept on the device: nothing is read until :meth:`means`."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.not_finite: dict[str, Tensor] = {}
        """Steps in a row in which a term of a phase with a loss scaler was not finite."""

    def add(self, terms: Terms, tolerant: bool = False) -> None:
        """Add the terms' unweighted values; `tolerant` where a loss scaler skips steps that are not finite."""
        for name, term in terms.items():
            value = term.value.detach()
            if tolerant:
                before = self.not_finite.get(name, torch.zeros_like(value, dtype=torch.float32))
                self.not_finite[name] = (before + 1) * ~torch.isfinite(value)
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def state(self) -> dict[str, Any]:
        """For a checkpoint, the same on all ranks once they have settled."""
        return {"sums": self.sums, "counts": self.counts, "not_finite": self.not_finite}

    def load(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on counting."""
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self.counts = state["counts"]
        self.not_finite = {name: value.to(device) for name, value in state["not_finite"].items()}

    def settle(self) -> None:
        """Replace the sums by their means over ranks, which then all hold the same."""
        if world_size() > 1 and self.sums:
            means = all_mean(torch.stack([value.float() for value in self.sums.values()]))
            self.sums = dict(zip(self.sums, means.unbind(), strict=True))

    def means(self) -> dict[str, float]:
        """Means by name, over ranks and since the last :meth:`clear`."""
        self.settle()
        names = list(self.sums)
        if not names:
            return {}
        values = torch.stack([self.sums[name].float() for name in names]).tolist()
        return {name: value / self.counts[name] for name, value in zip(names, values, strict=True)}

    def skips(self, name: str) -> bool:
        """Whether a mean that is not finite is a loss scaler's business still."""
        streak = self.not_finite.get(name)
        return streak is not None and max(gathered(streak.item(), patient=False)) < SKIPPED

    def clear(self) -> None:
        """Start anew; what is not finite goes on being counted."""
        self.sums.clear()
        self.counts.clear()


def first_bad_parameter(networks: dict[str, nn.Module]) -> str | None:
    """Name of the first parameter or running statistic that is not finite, or of another buffer with NaN: one may hold
    infinities, as the mask of an attention does."""
    for name, network in networks.items():
        for key, tensor in (*network.named_parameters(), *network.named_buffers()):
            finite = isinstance(tensor, nn.Parameter) or key.endswith(("running_mean", "running_var"))
            wrong = ~torch.isfinite(tensor) if finite else torch.isnan(tensor)
            if tensor.is_floating_point() and bool(whole_tensor(wrong.any())):
                return f"{name}.{key}"
    return None


def not_finite(term: str, step: int, networks: dict[str, nn.Module], last_good: str) -> Diverged:
    """The error for a loss that is not finite, naming term, layer and way out."""
    layer = first_bad_parameter(networks)
    cause = f"first layer with values that are not finite: {layer}" if layer else "all weights are still finite"
    return Diverged(
        f"the loss term {term!r} is not finite at step {step}; {cause}. Training stopped. {last_good} "
        "Ways out: a lower --stages.N.learning-rate, --precision fp32, a gradient penalty "
        "(--adversary.regularizers r1), or check the data."
    )
