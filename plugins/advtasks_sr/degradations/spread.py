"""Numbers in [0, 1) as numbers of a range, and as choices."""

from __future__ import annotations

import torch
from torch import Tensor


def within(uniform: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Numbers in [0, 1) spread over [low, high)."""
    return low + uniform * (high - low)


def choice(uniform: Tensor, weights: list[float]) -> Tensor:
    """(N,) numbers of the choices that (N,) numbers in [0, 1) fall on, with chances in proportion to `weights`."""
    edges = torch.tensor(weights, dtype=torch.float64).cumsum(0)
    found = torch.searchsorted(edges / edges[-1], uniform.double(), right=True)
    last = max(number for number, weight in enumerate(weights) if weight > 0)
    return found.clamp(max=last)  # a uniform of 1 - 1e-8 may round up to the last edge
