"""Blur kernels by formula, one for each row. Wang et al. 2021 (Real-ESRGAN), sections 3.1 and 3.3.

All are (N, S, S), not yet normalized; S is odd and the middle is the origin. Host tensors, a few thousand numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def _grid(size: int) -> tuple[Tensor, Tensor]:
    """x and y of each pixel, (1, S, S) float64, 0 in the middle."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x[None], y[None]


def squared_distance(size: int, sigma_x: Tensor, sigma_y: Tensor, angle: Tensor) -> Tensor:
    """d² = xᵀ Σ⁻¹ x with Σ = R diag(σx², σy²) Rᵀ and R the rotation by `angle` (radians), (N, S, S) float64.

    Args:
        size: S.
        sigma_x: (N,) in pixels, along the axis that `angle` turns from x towards y.
        sigma_y: (N,) in pixels, across it.
        angle: (N,).
    """
    x, y = _grid(size)
    cos, sin = (part.double()[:, None, None] for part in (angle.cos(), angle.sin()))
    along, across = cos * x + sin * y, cos * y - sin * x
    return (along / sigma_x.double()[:, None, None]) ** 2 + (across / sigma_y.double()[:, None, None]) ** 2


def generalized_gaussian(squared: Tensor, beta: Tensor) -> Tensor:
    """exp(-(d²)^β / 2): β 1 is the Gaussian, larger ones are boxes with soft edges. Liu et al.
    2020, "Estimating Generalized Gaussian Blur Kernels for Out-of-Focus Image Deblurring".

    Args:
        squared: d², (N, S, S).
        beta: (N,).
    """
    return torch.exp(-0.5 * squared.pow(beta.double()[:, None, None]))


def plateau(squared: Tensor, beta: Tensor) -> Tensor:
    """1 / (1 + (d²)^β), the paper's plateau-shaped kernel.

    Args:
        squared: d², (N, S, S).
        beta: (N,).
    """
    return 1 / (1 + squared.pow(beta.double()[:, None, None]))


def sinc(size: int, cutoff: Tensor) -> Tensor:
    """The ideal low-pass of two dimensions, ω J₁(ω r) / (2 π r), whose frequency response is 1 within the circle of
    radius ω and 0 outside (section 3.3 of the paper); cut to S pixels, so both are approximate.

    Args:
        size: S.
        cutoff: ω, (N,) in (0, π] radians a pixel.
    """
    x, y = _grid(size)
    radius = (x**2 + y**2).sqrt()
    omega = cutoff.double()[:, None, None]
    away = omega * torch.special.bessel_j1(omega * radius) / (2 * math.pi * radius.clamp(min=1))
    return torch.where(radius == 0, omega**2 / (4 * math.pi), away)


def cut_and_normalized(kernels: Tensor, sizes: Tensor) -> Tensor:
    """The middle (N,) `sizes` pixels of each kernel, 0 around them, with sum 1; float32."""
    size = kernels.shape[-1]
    away = (torch.arange(size) - size // 2).abs()
    inside = torch.maximum(away[:, None], away[None, :])[None] <= (sizes // 2)[:, None, None]
    kept = torch.where(inside, kernels, 0.0)
    return (kept / kept.sum((-2, -1), keepdim=True)).float()
