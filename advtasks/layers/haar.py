"""The Haar wavelet transform of pictures: decimated (orthonormal) and stationary."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def haar(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal transform: of each 2×2 square (a b; c d) the low band ``(a+b+c+d)/2`` and the
    details ``(a-b+c-d)/2``, ``(a+b-c-d)/2``, ``(a-b-c+d)/2`` (Mallat 1989). Energy is kept, and
    :func:`inverse_haar` undoes it.

    Args:
        pictures: (N, C, H, W), H and W even.

    Returns:
        The low band (N, C, H/2, W/2) and the details (N, 3·C, H/2, W/2): all channels of the horizontal, the vertical
        and the diagonal band.
    """
    a, b = pictures[..., ::2, ::2], pictures[..., ::2, 1::2]
    c, d = pictures[..., 1::2, ::2], pictures[..., 1::2, 1::2]
    details = torch.cat((a - b + c - d, a + b - c - d, a - b - c + d), 1) / 2
    return (a + b + c + d) / 2, details


def inverse_haar(low: Tensor, details: Tensor) -> Tensor:
    """The pictures (N, C, H, W) that :func:`haar` takes apart."""
    x, y, z = details.chunk(3, 1)
    picture = low.new_empty((*low.shape[:2], 2 * low.shape[2], 2 * low.shape[3]))
    picture[..., ::2, ::2], picture[..., ::2, 1::2] = (low + x + y + z) / 2, (low - x + y - z) / 2
    picture[..., 1::2, ::2], picture[..., 1::2, 1::2] = (low + x - y - z) / 2, (low - x - y + z) / 2
    return picture


def stationary_haar(pictures: Tensor, level: int = 0, padding: str = "replicate") -> tuple[Tensor, Tensor]:
    """One level of the transform without decimation (Nason & Silverman 1995): filters ``(1, ±1)/2`` along each axis,
    their taps `2^level` pixels apart, so a shifted picture has shifted bands.

    The four bands sum to the picture, whatever the padding; with ``circular`` padding their energies sum to its energy.

    Args:
        pictures: (N, C, H, W), sides above ``2^level``. For the next level, the low band.
        level: from 0.
        padding: a mode of :func:`torch.nn.functional.pad`.

    Returns:
        The low band (N, C, H, W) and the details (N, 3·C, H, W), ordered as by :func:`haar`.
    """
    reach = 2**level
    further = pad(pictures, (0, reach, 0, 0), mode=padding)[..., reach:]
    low, high = (pictures + further) / 2, (pictures - further) / 2
    bands = []
    for band in (low, high):
        further = pad(band, (0, 0, 0, reach), mode=padding)[..., reach:, :]
        bands += [(band + further) / 2, (band - further) / 2]
    low_low, low_high, high_low, high_high = bands
    return low_low, torch.cat((high_low, low_high, high_high), 1)
