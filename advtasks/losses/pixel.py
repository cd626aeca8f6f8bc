"""Pixel losses that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor


def charbonnier(output: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """``E sqrt((x-y)² + ε²)``, a smooth L1 (Charbonnier et al. 1994; Lai et al. 2017, eq. 4).

    Args:
        output, target: pictures (N, C, H, W) of equal shape.
        epsilon: the width of the smooth part, in units of the pixel values.
    """
    return torch.sqrt((output - target).square() + epsilon**2).mean()
