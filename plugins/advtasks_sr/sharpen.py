"""Unsharp masking of training targets, as of Real-ESRGAN (Wang et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from advtasks_sr.degradations import filtered

_SIDE = 51
_SIGMA = 8.0
"""What OpenCV takes for 51 pixels: 0.3 ((51 - 1) / 2 - 1) + 0.8."""
_AMOUNT = 0.5
_THRESHOLD = 10 / 255


@torch.no_grad()
def sharpened(pictures: Tensor) -> Tensor:
    """Edges overshoot, flat parts stay: ``m·clip(x + 0.5 r) + (1 - m)·x`` with the residual ``r = x - G*x``, the mask
    ``m = G*[|r| > 10/255]`` and G a Gaussian of 51 pixels with sigma 8. Constants of BasicSR's ``USMSharp`` (read), as
    Real-ESRGAN uses it.

    Args:
        pictures: (N, C, H, W) in [0, 1]; borders are mirrored.

    Returns:
        The same shape, in [0, 1].
    """
    residual = pictures - _smoothed(pictures)
    mask = _smoothed((residual.abs() > _THRESHOLD).to(pictures))
    sharp = (pictures + _AMOUNT * residual).clamp(0, 1)
    return mask * sharp + (1 - mask) * pictures


def _smoothed(pictures: Tensor) -> Tensor:
    place = torch.arange(_SIDE, dtype=torch.float64) - _SIDE // 2
    line = torch.exp(-(place**2) / (2 * _SIGMA**2))
    line = (line / line.sum()).to(pictures.dtype).expand(len(pictures), -1)
    return filtered(filtered(pictures, line[:, None, :]), line[:, :, None])
