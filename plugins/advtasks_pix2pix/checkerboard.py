"""How much of a picture is a pattern of period two: what transposed convolutions leave behind (Odena et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


def checkerboard_energy(pictures: Tensor) -> Tensor:
    """The share of a picture's energy, its mean left out, at the three Nyquist frequencies (pi, 0), (0, pi), (pi, pi),
    over the share that white noise has there; 1 for white noise, 0 for what has no such pattern.

    Args:
        pictures: (N, C, H, W); an odd last row or column is left out.

    Returns:
        (N,) float64, the mean over channels; 0 for constant pictures.
    """
    height, width = (side - side % 2 for side in pictures.shape[-2:])
    values = pictures[..., :height, :width].double()
    spectrum = torch.fft.fft2(values - values.mean((-2, -1), keepdim=True)).abs().square()
    corners = spectrum[..., height // 2, 0] + spectrum[..., 0, width // 2] + spectrum[..., height // 2, width // 2]
    whole = spectrum.sum((-2, -1))
    share = torch.where(whole > 0, corners / whole.clamp_min(1e-300), 0.0)
    return (share * (height * width - 1) / 3).mean(1)
