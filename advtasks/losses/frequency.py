"""Distances of spectra."""

from __future__ import annotations

import torch
from torch import Tensor


def focal_frequency(output: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    """``E_uv w |F_y - F_x|²`` with ``w = |F_y - F_x|^α``, scaled to [0, 1] (Jiang et al. 2021, section 3.2), a scalar.

    F is the orthonormal two-dimensional Fourier transform of each channel. Frequencies that are hard to make weigh
    most; the weights are scaled by the largest of each picture and channel, and no gradient passes through them. With
    alpha = 0 it is the mean squared error, by Parseval.

    Args:
        output, target: pictures (N, C, H, W) of equal shape, in [0, 1].
        alpha: how sharply the weights prefer frequencies that are far off.
    """
    difference = torch.fft.fft2(target - output, norm="ortho")
    squared = difference.real.square() + difference.imag.square()
    with torch.no_grad():
        weights = squared.pow(alpha / 2)
        weights = weights / weights.amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(squared.dtype).tiny)
    return (weights * squared).mean()
