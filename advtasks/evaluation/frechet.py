"""Fréchet distance between features (Heusel et al. 2017), and what it would be of endlessly many samples (Chong &
Forsyth 2020). The name FID belongs to the pooled features of the TensorFlow Inception-v3; of others it is the Fréchet
distance on that backbone."""

from __future__ import annotations

import math

import torch
from scipy import special
from torch import Tensor

from advtasks.evaluation.intervals import CONFIDENCE, Estimate
from advtasks.evaluation.moments import Moments

POINTS = 15
"""Sub-sets that the line of the extrapolation goes through."""
LEAST = 1 / 3
"""Share of the smallest of them. Below one sample a dimension there, the bias no longer goes with 1/N."""


def needed_for_interval(dimensions: int) -> int:
    """Samples of each side below which :func:`frechet_infinity` gives no interval."""
    return math.ceil((dimensions + 1) / LEAST)


class FrechetReference:
    """Real pictures' moments, and a root of their covariance, which all distances to them share.

    Args:
        moments: of the real pictures.
    """

    def __init__(self, moments: Moments) -> None:
        self.mean, self.covariance = moments.mean, moments.covariance
        self.root, failed = torch.linalg.cholesky_ex(self.covariance)
        if failed:  # of lower rank
            values, vectors = torch.linalg.eigh(self.covariance)
            self.root = vectors * values.clamp_min(0).sqrt()

    def distance(self, fake: Moments) -> float:
        """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½), in float64.

        The trace of the root is the sum of the roots of the eigenvalues of Lᵀ Σ₂ L with L Lᵀ = Σ₁, which is symmetric:
        real for covariances of any rank, and nothing is added to their diagonals.
        """
        other = fake.covariance
        cross = torch.linalg.eigvalsh(self._product(other)).clamp_min(0).sqrt().sum()
        difference = self.mean - fake.mean
        return float(difference @ difference + self.covariance.trace() + other.trace() - 2 * cross)

    def deviation(self, features: Tensor) -> float:
        """Standard error of the distance of a sample of features (N, d), by the delta method: that of the mean of what
        each sample moves the distance, ``2 (μ₂ - μ₁)·x + xᵀ (1 - T) x`` for centred x with the optimal transport map
        ``T = L (Lᵀ Σ₂ L)^(-½) Lᵀ``."""
        values = features.to(self.mean)
        centred = values - values.mean(0)
        found, vectors = torch.linalg.eigh(self._product(torch.cov(values.T)))
        inverse = torch.where(found > found[-1] * 1e-10, found.clamp_min(1e-300).rsqrt(), 0.0)
        transport = self.root @ ((vectors * inverse) @ vectors.T) @ self.root.T
        moved = (centred * (2 * (values.mean(0) - self.mean) + centred - centred @ transport)).sum(1)
        return float(moved.std()) / math.sqrt(len(values))

    def _product(self, other: Tensor) -> Tensor:
        product = self.root.T @ other @ self.root
        return (product + product.T) / 2


def frechet_distance(first: Moments, second: Moments) -> float:
    """See :meth:`FrechetReference.distance`."""
    return FrechetReference(first).distance(second)


def frechet_estimates(
    fake: Tensor, real: Tensor, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[Estimate, Estimate]:
    """The Fréchet distance, and that of endlessly many samples of both sides: its bias is proportional to 1/N, so a
    straight line through the distances of :data:`POINTS` sub-sets, the same share of either side, is followed to
    1/N = 0. (Chong & Forsyth 2020 do so with the fakes alone, which leaves the bias of a finite real side.)

    The intervals are those of the sampling of both sides (:meth:`FrechetReference.deviation`), the second with the
    scatter about the line; the first is about the distance at this N, bias included. They hold the truth
    as often as they say, for equal laws a little more often. Below :func:`needed_for_interval` samples there are none.

    Args:
        fake: features (N, d) of generated pictures.
        real: (M, d) of the real ones.

    Raises:
        ValueError: fewer than :data:`POINTS` samples.
    """
    from scipy import stats  # most of a second, and only this needs it

    few = min(len(fake), len(real))
    if few < POINTS:
        raise ValueError(f"{few} samples are too few: at least {POINTS} are needed")
    draws = torch.Generator().manual_seed(seed)
    shares = torch.linspace(LEAST, 1, POINTS, dtype=torch.float64).tolist()
    distances = []
    for share in shares:
        part, other = (
            Moments.of(side[torch.randperm(len(side), generator=draws)[: round(share * len(side))]])
            for side in (fake, real)
        )
        distances.append(FrechetReference(other).distance(part))
    line = stats.linregress([1 / share for share in shares], distances)
    finite, endless = distances[-1], float(line.intercept)
    if few < needed_for_interval(fake.shape[1]):
        return Estimate(finite), Estimate(endless)
    sampling = math.hypot(
        FrechetReference(Moments.of(real)).deviation(fake), FrechetReference(Moments.of(fake)).deviation(real)
    )
    z = float(special.ndtri(0.5 + confidence / 2))
    reach, further = z * sampling, z * math.hypot(sampling, float(line.intercept_stderr))
    return Estimate(finite, finite - reach, finite + reach), Estimate(endless, endless - further, endless + further)


def frechet_infinity(fake: Tensor, real: Tensor, seed: int = 0, confidence: float = CONFIDENCE) -> Estimate:
    """The second of :func:`frechet_estimates`."""
    return frechet_estimates(fake, real, seed, confidence)[1]
