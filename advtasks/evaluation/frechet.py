"""Fréchet distance between features (Heusel et al. 2017), and what it would be of endlessly many samples (Chong &
Forsyth 2020). The name FID belongs to the pooled features of the TensorFlow Inception-v3; of others it is the Fréchet
distance on that backbone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from advtasks.evaluation.moments import Moments


@dataclass(frozen=True)
class Estimate:
    """A value with a confidence interval."""

    value: float
    low: float
    high: float


class FrechetReference:
    """Real pictures' moments, and the root of their covariance, which all distances to them share.

    Args:
        moments: of the real pictures.
    """

    def __init__(self, moments: Moments) -> None:
        self.mean, self.covariance = moments.mean, moments.covariance
        values, vectors = torch.linalg.eigh(self.covariance)
        self.root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T

    def distance(self, fake: Moments) -> float:
        """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½), in float64.

        The trace of the root is the sum of the roots of the eigenvalues of √Σ₁ Σ₂ √Σ₁, which is symmetric: real for
        covariances of any rank, and nothing is added to their diagonals.
        """
        other = fake.covariance
        cross = torch.linalg.eigvalsh(self._product(other)).clamp_min(0).sqrt().sum()
        difference = self.mean - fake.mean
        return float(difference @ difference + self.covariance.trace() + other.trace() - 2 * cross)

    def deviation(self, features: Tensor) -> float:
        """Standard error of the distance of a sample of features (N, d), by the delta method: that of the mean of what
        each sample moves the distance, ``2 (μ₂ - μ₁)·x + xᵀ (1 - T) x`` for centred x with the optimal transport map
        ``T = √Σ₁ (√Σ₁ Σ₂ √Σ₁)^(-½) √Σ₁``."""
        values = features.to(self.mean)
        centred = values - values.mean(0)
        found, vectors = torch.linalg.eigh(self._product(torch.cov(values.T)))
        inverse = torch.where(found > found[-1] * 1e-10, found.clamp_min(1e-300).rsqrt(), 0.0)
        transport = self.root @ ((vectors * inverse) @ vectors.T) @ self.root
        moved = (centred * (2 * (values.mean(0) - self.mean) + centred - centred @ transport)).sum(1)
        return float(moved.std()) / math.sqrt(len(values))

    def _product(self, other: Tensor) -> Tensor:
        product = self.root @ other @ self.root
        return (product + product.T) / 2


def frechet_distance(first: Moments, second: Moments) -> float:
    """See :meth:`FrechetReference.distance`."""
    return FrechetReference(first).distance(second)


def frechet_infinity(
    fake: Tensor,
    real: FrechetReference,
    points: int = 15,
    least: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """The Fréchet distance of endlessly many samples of the generator: its bias is proportional to 1/N, so a straight
    line through the distances of `points` sub-sets of different N is followed to 1/N = 0 (Chong & Forsyth 2020).

    Args:
        fake: features (N, d) of generated pictures.
        real: of the real ones; their own finite number still counts.
        least: samples of the smallest sub-set; a third of N by default (the paper: 5,000 of 50,000).
        confidence: of the interval, from the sampling of the fakes (:meth:`FrechetReference.deviation`) and the scatter
            about the line. It wants more samples than dimensions, and a distance that is clearly not 0.

    Raises:
        ValueError: fewer than `points` samples.
    """
    if len(fake) < max(points, 6):
        raise ValueError(f"{len(fake)} samples are too few: at least {max(points, 6)} are needed")
    draws = torch.Generator().manual_seed(seed)
    numbers = torch.linspace(least or len(fake) // 3, len(fake), points).long().tolist()
    distances = [
        real.distance(Moments.of(fake[torch.randperm(len(fake), generator=draws)[:number]])) for number in numbers
    ]
    line = stats.linregress([1 / number for number in numbers], distances)
    value, deviation = float(line.intercept), math.hypot(real.deviation(fake), float(line.intercept_stderr))
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * deviation
    return Estimate(value, value - reach, value + reach)
