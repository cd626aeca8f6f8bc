"""Inception score (Salimans et al. 2016, section 4). It knows the classes of its classifier alone, sees neither lost
variety within a class nor the real pictures at all, and moves with the number of splits, so that is always stated."""

from __future__ import annotations

import math

import torch
from scipy import special
from torch import Tensor
from torch.special import xlogy

from advtasks.evaluation.intervals import CONFIDENCE, Estimate, mean_interval


def inception_score(probabilities: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp of the mean divergence of each picture's classes from those of all, over `splits` parts: mean and standard
    deviation (0 for one split).

    Args:
        probabilities: (N, K), rows that sum to 1; the order counts, since parts are consecutive.
        splits: the papers: 10.

    Raises:
        ValueError: rows that do not sum to 1, or fewer samples than splits.
    """
    if len(probabilities) < splits or splits < 1:
        raise ValueError(f"{len(probabilities)} samples cannot be split in {splits}")
    values = probabilities.double()
    if not torch.allclose(values.sum(1), torch.ones((), dtype=torch.float64), atol=1e-3) or values.min() < 0:
        raise ValueError("probabilities must be at least 0 and sum to 1 in each row; logits need a softmax")
    found = torch.stack([_divergences(part).mean().exp() for part in values.tensor_split(splits)])
    return found.mean().item(), found.std(unbiased=False).item()


def inception_estimate(probabilities: Tensor, splits: int = 1) -> Estimate:
    """The same with an interval: Student's over the splits; of one split, that of the mean divergence, which to first
    order is a mean over pictures, as what a picture changes of the marginal cancels. It is an interval about the score
    of this many pictures; fewer give lower scores."""
    value, deviation = inception_score(probabilities, splits)
    if splits > 1:
        reach = float(special.stdtrit(splits - 1, 0.5 + CONFIDENCE / 2)) * deviation / math.sqrt(splits - 1)
        return Estimate(value, value - reach, value + reach)
    found = mean_interval(_divergences(probabilities.double()))
    return Estimate(value, math.exp(found.low), math.exp(found.high))


def _divergences(values: Tensor) -> Tensor:
    """(N,) of each row from the mean of all."""
    return (xlogy(values, values) - xlogy(values, values.mean(0))).sum(1)
