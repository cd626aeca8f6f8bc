"""Structural similarity at one scale (Wang et al. 2004) and at several (Wang et al. 2003), for losses and metrics."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from advtasks.errors import UsageError

WINDOW = 11
_BAND = 2**17
"""Values that are compared at a time: their maps fit into a cache."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Wang, Simoncelli & Bovik (2003), section 3.2; fine to coarse."""


def similarity_maps(x: Tensor, y: Tensor, peak: float) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure factor at each valid place of an 11×11 Gaussian window of σ 1.5.

    ``SSIM = l · cs``, ``l = (2 μx μy + C1) / (μx² + μy² + C1)``, ``cs = (2 σxy + C2) / (σx² + σy² + C2)`` with
    ``C1 = (0.01 peak)²``, ``C2 = (0.03 peak)²`` (Wang et al. 2004, eq. 13).

    Args:
        x, y: (N, C, H, W) in [0, peak], sides from 11 pixels.

    Returns:
        Two maps (N, C, H-10, W-10), the similarity and the factor cs.
    """
    offsets = torch.arange(-(WINDOW // 2), WINDOW // 2 + 1, dtype=x.dtype, device=x.device)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = window / window.sum()
    mean_x, mean_y, of_xx, of_yy, of_xy = _smoothed(torch.stack((x, y, x * x, y * y, x * y)), window)
    var_x, var_y = of_xx - mean_x.square(), of_yy - mean_y.square()
    covariance = of_xy - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1) * structure, structure


def _smoothed(maps: Tensor, window: Tensor) -> Tensor:
    """Separable convolution over the last two axes, valid positions; sums of shifted views, since convolutions of
    float64 are slow."""
    for axis in (-2, -1):
        length = maps.shape[axis] - len(window) + 1
        shifted = (maps.narrow(axis, start, length) * weight for start, weight in enumerate(window))
        maps = functools.reduce(torch.add, shifted)
    return maps


def mean_similarities(x: Tensor, y: Tensor, peak: float) -> tuple[Tensor, Tensor]:
    """The means over places of both :func:`similarity_maps`, (N, C): of large pictures in bands of rows, since the maps
    take some hundred bytes for each value, and as many passes through memory."""
    places = x.shape[-2] - WINDOW + 1
    step = max(_BAND // x.shape[:-2].numel() // x.shape[-1], 1)
    if step >= places or torch.is_grad_enabled():  # a graph keeps them all
        similarity, structure = similarity_maps(x, y, peak)
        return similarity.mean(dim=(-2, -1)), structure.mean(dim=(-2, -1))
    sums = [x.new_zeros(x.shape[:-2]), x.new_zeros(x.shape[:-2])]
    for top in range(0, places, step):
        rows = slice(top, min(top + step, places) + WINDOW - 1)
        maps = similarity_maps(x[..., rows, :], y[..., rows, :], peak)
        sums = [total + part.sum(dim=(-2, -1)) for total, part in zip(sums, maps, strict=True)]
    count = places * (x.shape[-1] - WINDOW + 1)
    return sums[0] / count, sums[1] / count


def _checked(name: str, output: Tensor) -> int:
    side = min(output.shape[-2:])
    if side < WINDOW:
        raise UsageError(f"{name} compares windows of {WINDOW} pixels; the pictures have only {side} a side")
    return side


def ssim_loss(output: Tensor, target: Tensor) -> Tensor:
    """``1 - E SSIM`` over places and channels (Wang et al. 2004, eq. 13; as a loss: Zhao et al. 2017), a scalar in
    [0, 2]. It is the SSIM of RGB, not of the protocol's Y.

    Args:
        output, target: pictures (N, C, H, W) in [0, 1], sides from 11 pixels.

    Raises:
        UsageError: smaller pictures.
    """
    _checked("ssim", output)
    return 1 - similarity_maps(output, target, 1.0)[0].mean()


def multi_scale_ssim(output: Tensor, target: Tensor) -> Tensor:
    """``Π_j cs_j^(w_j) · l_M^(w_M)`` (MS-SSIM: Wang et al. 2003, eq. 7), (N,) in [0, 1]: the mean over channels.

    Each scale is the 2×2 mean of the one before; the factors are means over places, for each picture and channel. The
    paper's five scales need 176 pixels a side; of smaller patches as many scales are compared as fit, with the first
    weights scaled to the sum of all five. Factors below 1e-4 (a negative correlation) count as 1e-4, without gradient.

    Args:
        output, target: pictures (N, C, H, W) in [0, 1], sides from 11 pixels.

    Raises:
        UsageError: smaller pictures.
    """
    side = _checked("ms-ssim", output)
    scales = min(len(SCALE_WEIGHTS), 1 + int(math.log2(side / WINDOW)))
    weights = [weight * sum(SCALE_WEIGHTS) / sum(SCALE_WEIGHTS[:scales]) for weight in SCALE_WEIGHTS[:scales]]
    x, y = output, target
    product = output.new_ones(())
    for number, weight in enumerate(weights, 1):
        similarity, structure = mean_similarities(x, y, 1.0)
        factor = similarity if number == scales else structure
        product = product * factor.clamp_min(1e-4).pow(weight)
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return product.mean(1)


def multi_scale_ssim_loss(output: Tensor, target: Tensor) -> Tensor:
    """``1 - E`` :func:`multi_scale_ssim`, a scalar in [0, 1]."""
    return 1 - multi_scale_ssim(output, target).mean()
