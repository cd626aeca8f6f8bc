"""PSNR and SSIM on luma by the protocol of super-resolution papers.

8-bit pictures (rounded, not truncated); Y = 65.481 R + 128.553 G + 24.966 B + 16 (BT.601, studio swing, as MATLAB's
``rgb2ycbcr``; not OpenCV's YCrCb, which reads about 1.3 dB lower); `border` pixels cropped on each side; peak 255.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def quantized(pictures: Tensor) -> Tensor:
    """[0, 1] to whole numbers 0 to 255 as float64: what an 8-bit file would hold."""
    return (pictures.double() * 255).round().clamp(0, 255)


def luma(pictures: Tensor) -> Tensor:
    """Y in [16, 235], float64, of 8-bit RGB values (N, 3, H, W) in [0, 255]; gives (N, 1, H, W)."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=pictures.device)
    return (pictures.double() / 255 * weights.view(1, 3, 1, 1)).sum(1, keepdim=True) + 16


def _cropped_luma(pictures: Tensor, border: int) -> Tensor:
    y = luma(quantized(pictures))
    height, width = y.shape[-2:]
    if min(height, width) <= 2 * border + 11:
        raise ValueError(f"a picture of {width}x{height} is too small to crop {border} pixels a side and compare")
    return y[..., border : height - border, border : width - border]


def psnr_y(output: Tensor, target: Tensor, border: int) -> Tensor:
    """Peak signal-to-noise ratio in dB for each picture.

    Args:
        output, target: RGB (N, 3, H, W) in [0, 1].
        border: pixels cropped on each side, by custom the scale.

    Returns:
        (N,) float64; infinite for equal pictures.
    """
    error = (_cropped_luma(output, border) - _cropped_luma(target, border)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255.0**2 / error)


def ssim_y(output: Tensor, target: Tensor, border: int) -> Tensor:
    """Structural similarity (Wang et al. 2004) for each picture: 11×11 Gaussian, σ 1.5, valid windows only.

    Args and shape as :func:`psnr_y`. 1 for equal pictures.
    """
    x, y = _cropped_luma(output, border), _cropped_luma(target, border)
    offsets = torch.arange(-5, 6, dtype=torch.float64, device=x.device)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = window / window.sum()

    mean_x, mean_y, of_xx, of_yy, of_xy = _smoothed(torch.stack((x, y, x * x, y * y, x * y)), window)
    var_x, var_y = of_xx - mean_x.square(), of_yy - mean_y.square()
    covariance = of_xy - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    index = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2)
    )
    return index.mean(dim=(1, 2, 3))


def _smoothed(maps: Tensor, window: Tensor) -> Tensor:
    """Separable convolution over the last two axes, valid positions; sums of shifted views, since convolutions of
    float64 are slow."""
    for axis in (-2, -1):
        length = maps.shape[axis] - len(window) + 1
        shifted = (maps.narrow(axis, start, length) * weight for start, weight in enumerate(window))
        maps = functools.reduce(torch.add, shifted)
    return maps
