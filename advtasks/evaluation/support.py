"""How many different pictures a generator can make, by the birthday paradox (Arora & Zhang 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from advtasks.evaluation.intervals import Estimate, count_interval

_ROWS = 1024


@dataclass(frozen=True)
class Support:
    """An estimate of the number of distinct samples."""

    collisions: int
    """Pairs of duplicates among the samples."""
    size: Estimate
    """``s (s - 1) / (2 c)`` of s samples with c collisions, which is what c colliding pairs say of a uniform law, with
    the interval of c as a Poisson count; with no collision it is a lower bound, that of one, without interval."""

    @property
    def is_bound(self) -> bool:
        """Whether :attr:`size` is only a lower bound."""
        return self.collisions == 0


def support_size(samples: Tensor, threshold: float) -> Support:
    """Of samples (N, d), where two are duplicates that are closer than `threshold`.

    The paper lets people judge which of the closest pairs are duplicates: look at them, and choose the threshold.

    Raises:
        ValueError: fewer than two samples.
    """
    count = len(samples)
    if count < 2:
        raise ValueError("two samples at least are needed")
    values = samples.double()
    close = 0
    for start in range(0, count, _ROWS):
        near = torch.cdist(values[start : start + _ROWS], values[start:]) < threshold
        close += int(near.triu(1).sum())
    pairs = count * (count - 1) / 2
    if not close:
        return Support(close, Estimate(pairs))
    seen = count_interval(close)
    return Support(close, Estimate(pairs / close, pairs / seen.high, pairs / seen.low))


def nearest_other(samples: Tensor) -> Tensor:
    """(N,) the distance of each sample to its nearest other one."""
    values, found = samples.double(), []
    for start in range(0, len(values), _ROWS):
        distances = torch.cdist(values[start : start + _ROWS], values)
        rows = torch.arange(len(distances))
        distances[rows, rows + start] = float("inf")
        found.append(distances.amin(1))
    return torch.cat(found)


def nearest(samples: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) distances of samples to the nearest of (M, d) others, and (N,) the numbers of those."""
    distances, numbers = nearest_few(samples, among, 1)
    return distances[:, 0], numbers[:, 0]


def nearest_few(samples: Tensor, among: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(N, count) distances of samples to the nearest of (M, d) others, nearest first, and their numbers; fewer where
    there are not so many."""
    others, count = among.double(), min(count, len(among))
    parts = [torch.cdist(part.double(), others).topk(count, largest=False) for part in samples.split(_ROWS)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
