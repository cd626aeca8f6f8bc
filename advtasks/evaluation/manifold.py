"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), on features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 1024
"""Of a matrix of distances that are there at a time."""


@dataclass(frozen=True)
class Manifold:
    """How the fake samples lie among the real ones, one by one."""

    real_looking: Tensor
    """(M,) bool: fakes within the neighbourhood of a real one."""
    recalled: Tensor
    """(N,) bool: real ones within the neighbourhood of a fake."""
    densities: Tensor
    """(M,) number of neighbourhoods of real ones that a fake lies in, over k."""
    covered: Tensor
    """(N,) bool: real ones in whose neighbourhood there is a fake."""

    @property
    def precision(self) -> float:
        """Share of fakes that look real."""
        return self.real_looking.double().mean().item()

    @property
    def recall(self) -> float:
        """Share of real ones that could have been made."""
        return self.recalled.double().mean().item()

    @property
    def density(self) -> float:
        """1 for one law, more for fewer modes."""
        return self.densities.mean().item()

    @property
    def coverage(self) -> float:
        """Share of real ones that have a fake near."""
        return self.covered.double().mean().item()


def manifold(real: Tensor, fake: Tensor, nearest: int = 5, nearest_for_precision: int = 3) -> Manifold:
    """Of features (N, d) and (M, d), by Euclidean distance; a neighbourhood reaches to the k-th nearest of one's own
    kind.

    Args:
        nearest: k of density and coverage (their paper: 5).
        nearest_for_precision: k of precision and recall (their paper: 3).

    Raises:
        ValueError: not more samples than k.
    """
    most = max(nearest, nearest_for_precision)
    if min(len(real), len(fake)) <= most:
        raise ValueError(f"more than {most} samples of each are needed, got {len(real)} and {len(fake)}")
    real, fake = real.double(), fake.double()
    radii = _radii(real, nearest, nearest_for_precision)
    of_fake = _radii(fake, nearest_for_precision)[nearest_for_precision]
    within = torch.zeros(len(fake), dtype=torch.bool)
    counts = torch.zeros(len(fake), dtype=torch.float64)
    recalled, covered = torch.zeros(len(real), dtype=torch.bool), torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(real), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = torch.cdist(real[rows], fake)
        within |= (distances <= radii[nearest_for_precision][rows, None]).any(0)
        inside = distances <= radii[nearest][rows, None]
        counts += inside.sum(0)
        covered[rows] = inside.any(1)
        recalled[rows] = (distances <= of_fake).any(1)
    return Manifold(real_looking=within, recalled=recalled, densities=counts / nearest, covered=covered)


def _radii(samples: Tensor, *every: int) -> dict[int, Tensor]:
    """For each k: the distance of each sample to its k-th nearest of the others."""
    found = torch.cat(
        [
            torch.cdist(samples[start : start + _ROWS], samples).topk(max(every) + 1, dim=1, largest=False).values
            for start in range(0, len(samples), _ROWS)
        ]
    )
    return {k: found[:, k] for k in every}
