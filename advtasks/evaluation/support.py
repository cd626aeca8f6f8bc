"""How many different pictures a generator can make, by the birthday paradox (Arora & Zhang 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from advtasks.evaluation.intervals import CONFIDENCE, Estimate, count_interval

_ROWS = 1024


@dataclass(frozen=True)
class Support:
    """An estimate of the number of distinct samples."""

    collisions: int
    """Pairs of duplicates among the samples."""
    size: Estimate
    """``s (s - 1) / (2 c)`` of s samples with c collisions, an estimate of ``1 / Σ p²``, which of a uniform law is
    the number of its samples and of others less. Its interval is that of a Poisson count, widened by how much samples
    differ in their collisions (Hoeffding's first term). With no collision it is a lower bound, that of one, without
    interval."""

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
    parts = []
    for start in range(0, count, _ROWS):
        near = torch.cdist(values[start : start + _ROWS], values) < threshold
        near.diagonal(start).fill_(False)  # itself
        parts.append(near.sum(1).double())
    collisions = torch.cat(parts)
    close, pairs = int(collisions.sum()) // 2, count * (count - 1) / 2
    if not close:
        return Support(close, Estimate(pairs))
    share, seen = close / pairs, count_interval(close)
    apart = (collisions / (count - 1)).var().item() - share / (count - 1)  # without what chance alone does
    spread = float(special.ndtri(0.5 + CONFIDENCE / 2)) * 2 * math.sqrt(max(apart, 0.0) / count) / share
    high, low = (math.exp(math.hypot(math.log(end / close), spread)) for end in (seen.high, seen.low))
    return Support(close, Estimate(1 / share, 1 / share / high, 1 / share * low))


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
