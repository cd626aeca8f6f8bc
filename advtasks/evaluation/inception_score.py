"""Inception score (Salimans et al. 2016, section 4). It knows the classes of its classifier alone, sees neither lost
variety within a class nor the real pictures at all, and moves with the number of splits, so that is always stated."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import xlogy


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
    scores = []
    for part in values.tensor_split(splits):
        marginal = part.mean(0)
        divergence = (xlogy(part, part) - xlogy(part, marginal)).sum(1).mean()
        scores.append(divergence.exp())
    found = torch.stack(scores)
    return found.mean().item(), found.std(unbiased=False).item()
