"""PSNR and SSIM: on luma by the protocol of super-resolution papers, and on RGB.

8-bit pictures (rounded, not truncated), peak 255. Luma is Y = 65.481 R + 128.553 G + 24.966 B + 16 (BT.601, studio
swing, as MATLAB's ``rgb2ycbcr``; not OpenCV's YCrCb, which reads about 1.3 dB lower), `border` pixels cropped on each
side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from advtasks.losses.luma import studio_luma
from advtasks.losses.structural_similarity import mean_similarities


def quantized(pictures: Tensor) -> Tensor:
    """[0, 1] to whole numbers 0 to 255 as float64: what an 8-bit file would hold."""
    return (pictures.double() * 255).round().clamp(0, 255)


def luma(pictures: Tensor) -> Tensor:
    """Y in [16, 235], float64, of 8-bit RGB values (N, 3, H, W) in [0, 255]; gives (N, 1, H, W)."""
    return studio_luma(pictures.double() / 255)


def _cropped_luma(pictures: Tensor, border: int) -> Tensor:
    y = luma(quantized(pictures))
    height, width = y.shape[-2:]
    if min(height, width) < 2 * border + 11:
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
    return mean_similarities(x, y, 255.0)[0].mean(1)


def psnr_rgb(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of all RGB values of a picture (N, 3, H, W) in [0, 1]; (N,) float64."""
    error = (quantized(output) - quantized(target)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255.0**2 / error)


def ssim_rgb(output: Tensor, target: Tensor) -> Tensor:
    """The mean over R, G and B of the structural similarity of a picture; args and shape as :func:`psnr_rgb`.

    Raises:
        ValueError: a side is shorter than the window, 11 pixels.
    """
    height, width = output.shape[-2:]
    if min(height, width) < 11:
        raise ValueError(f"a picture of {width}x{height} is too small for a window of 11 pixels")
    return mean_similarities(quantized(output), quantized(target), 255.0)[0].mean(1)
