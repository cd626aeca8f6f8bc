"""Values with their confidence intervals, and the intervals of means, shares and counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special
from torch import Tensor

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with a confidence interval, whose ends are NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


def mean_interval(values: Tensor, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of independent values (N,) with Student's interval, which holds what it says for few of them, too. None
    for a single value, or where one is not finite."""
    found, count = values.double(), len(values)
    mean = found.mean().item()
    if count < 2 or not math.isfinite(mean):
        return Estimate(mean)
    reach = float(special.stdtrit(count - 1, 0.5 + confidence / 2)) * found.std().item() / math.sqrt(count)
    return Estimate(mean, mean - reach, mean + reach)


def difference_interval(first: Tensor, second: Tensor, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of (N,) less that of (M,) other values, all independent, with Welch's (1947) interval. None where one
    side has a single value, or one is not finite."""
    one, other = first.double(), second.double()
    found = (one.mean() - other.mean()).item()
    if min(len(one), len(other)) < 2 or not math.isfinite(found):
        return Estimate(found)
    parts = one.var().item() / len(one), other.var().item() / len(other)
    spread = sum(parts)
    if not spread:
        return Estimate(found, found, found)
    shares = [part / spread for part in parts]
    freedom = 1 / (shares[0] ** 2 / (len(one) - 1) + shares[1] ** 2 / (len(other) - 1))
    reach = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(spread)
    return Estimate(found, found - reach, found + reach)


def count_interval(count: int, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a Poisson law of which `count` was seen, with Garwood's (1936) exact interval."""
    low, high = (
        float(special.gammaincinv(degrees / 2, level)) if degrees else 0.0
        for level, degrees in ((0.5 - confidence / 2, 2 * count), (0.5 + confidence / 2, 2 * count + 2))
    )
    return Estimate(float(count), low, high)


def share_interval(hits: Tensor, confidence: float = CONFIDENCE) -> Estimate:
    """The share of independent hits (N,) of type bool with Wilson's (1927) interval, which stays within 0 and 1."""
    count, share = len(hits), hits.double().mean().item()
    z = float(special.ndtri(0.5 + confidence / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low = 0.0 if share == 0 else middle - reach  # without rounding
    return Estimate(share, low, 1.0 if share == 1 else middle + reach)
