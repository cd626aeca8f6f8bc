"""Fréchet distance between features (Heusel et al. 2017), and what it would be of endlessly many samples (Chong &
Forsyth 2020). The name FID belongs to the pooled features of the TensorFlow Inception-v3; of others it is the Fréchet
distance on that backbone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from advtasks.evaluation.moments import Moments


def frechet_distance(first: Moments, second: Moments) -> float:
    """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½), in float64.

    The trace of the root is the sum of the roots of the eigenvalues of √Σ₁ Σ₂ √Σ₁, which is symmetric: real for
    covariances of any rank, and nothing is added to their diagonals.
    """
    one, other = first.covariance, second.covariance
    values, vectors = torch.linalg.eigh(one)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root @ other @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    difference = first.mean - second.mean
    return float(difference @ difference + one.trace() + other.trace() - 2 * cross)


@dataclass(frozen=True)
class Estimate:
    """A value with a confidence interval."""

    value: float
    low: float
    high: float


def frechet_infinity(
    fake: Tensor, real: Moments, points: int = 15, least: int | None = None, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """The Fréchet distance of endlessly many samples of the generator: its bias is proportional to 1/N, so a straight
    line through the distances of `points` sub-sets of different N is followed to 1/N = 0 (Chong & Forsyth 2020).

    Args:
        fake: features (N, d) of generated pictures.
        real: of the real ones; their own finite number still counts.
        least: samples of the smallest sub-set; a third of N by default (the paper: 5,000 of 50,000).
        confidence: of the interval of the line's intercept, by Student's t. Sub-sets overlap, so it is narrower than
            repeating the whole would be.

    Raises:
        ValueError: fewer than `points` samples.
    """
    if len(fake) < max(points, 6):
        raise ValueError(f"{len(fake)} samples are too few: at least {max(points, 6)} are needed")
    draws = torch.Generator().manual_seed(seed)
    numbers = torch.linspace(least or len(fake) // 3, len(fake), points).long().tolist()
    distances = [
        frechet_distance(Moments.of(fake[torch.randperm(len(fake), generator=draws)[:number]]), real)
        for number in numbers
    ]
    line = stats.linregress([1 / number for number in numbers], distances)
    reach = float(stats.t.ppf(0.5 + confidence / 2, points - 2) * line.intercept_stderr)
    return Estimate(float(line.intercept), float(line.intercept) - reach, float(line.intercept) + reach)
