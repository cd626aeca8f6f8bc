"""Mean and covariance of features that come in batches, in memory that does not grow with their number."""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS = 4096


class Moments:
    """Updated batch by batch in float64 (Chan, Golub & LeVeque 1979): the order and size of batches do not matter to
    rounding. Moments of several processes are merged.

    Args:
        dimensions: of a feature.
    """

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self.mean = torch.zeros(dimensions, dtype=torch.float64)
        self.scatter = torch.zeros(dimensions, dimensions, dtype=torch.float64)
        """Sum of the outer products of differences to the mean."""

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Of features (N, d), :data:`_ROWS` of which at a time are there in double precision."""
        found = cls(features.shape[1])
        for part in features.split(_ROWS):
            found.add(part)
        return found

    def add(self, features: Tensor) -> None:
        """Features (N, d), N at least 1.

        Raises:
            ValueError: a value is not finite.
        """
        values = features.to(self.mean)
        if not values.isfinite().all():
            raise ValueError("features hold NaN or infinity")
        mean = values.mean(0)
        centred = values - mean
        self._join(len(values), mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """All that the other has seen, too."""
        self._join(other.count, other.mean, other.scatter)

    def _join(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        if not count:
            return
        total, difference = self.count + count, mean - self.mean
        self.scatter += scatter + torch.outer(difference, difference) * (self.count * count / total)
        self.mean += difference * (count / total)
        self.count = total

    @property
    def covariance(self) -> Tensor:
        """(d, d), unbiased.

        Raises:
            ValueError: fewer than two samples.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least two samples, got {self.count}")
        return self.scatter / (self.count - 1)
