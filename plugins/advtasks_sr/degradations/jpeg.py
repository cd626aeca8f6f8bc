"""What a picture is after JPEG: ITU-T T.81 baseline as libjpeg does it, without the file.

kornia 0.9's ``jpeg_codec_differentiable`` was tried first: it rounds by a polynomial and repeats chroma pixels, and
is off a real decoder by more than a quarter of what JPEG itself changes (tests/numerics/test_degradations.py measures
both).
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from advtasks.transfers import constant

_LUMA_STEPS = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""Table K.1 of the standard."""
_CHROMA_STEPS = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip
"""Table K.2."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
"""JFIF 1.02, full range."""
_HALF = 0.5001
"""Sums of whole levels often end on a half, which libjpeg rounds up; the rest covers the last bits of float32."""


def jpeg(pictures: Tensor, quality: Tensor) -> Tensor:
    """Encode and decode: 4:2:0 chroma, the standard's tables, chroma interpolated as libjpeg does by default.

    Args:
        pictures: (N, 3, H, W), clipped to [0, 1] and rounded to 8 bit first; any size.
        quality: (N,) from 1 to 100, rounded to whole numbers; may be on the host.

    Returns:
        (N, 3, H, W) in [0, 1], 8-bit levels.
    """
    height, width = pictures.shape[-2:]
    levels = (pictures.clamp(0, 1) * 255).round()
    levels = pad(levels, (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = (_mixed(levels, _TO_YCC) + _offset(levels)).round().clamp(0, 255)
    scale = _scale(quality)
    luma = _coded(ycc[:, :1], _steps(_LUMA_STEPS, scale))
    # libjpeg rounds halves down in even columns and up in odd ones, and the other way round when it decodes
    chroma = _columns(avg_pool2d(ycc[:, 1:], 2), 0.25, 0.5).floor()
    chroma = _coded(chroma, _steps(_CHROMA_STEPS, scale))
    chroma = chroma[..., : (height + 1) // 2, : (width + 1) // 2]  # a decoder has forgotten the padding
    # 3/4 and 1/4 of the nearer and the farther pixel on each axis: its "fancy upsampling" is bilinear
    chroma = interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    chroma = _columns(chroma, 8 / 16, 7 / 16).floor()
    decoded = torch.cat((luma[..., :height, :width], chroma[..., :height, :width]), 1)
    return _mixed(decoded - _offset(levels), _TO_RGB).round().clamp(0, 255) / 255


def _mixed(pictures: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    weights = constant(matrix, pictures)
    # sums of three products, in this order on every device and for every batch size, where a matrix product may differ
    parts = [pictures[:, number, None] * weights[:, number, None, None] for number in range(3)]
    return parts[0] + parts[1] + parts[2]


def _offset(like: Tensor) -> Tensor:
    return constant((0.0, 128.0, 128.0), like)[:, None, None]


def _columns(pictures: Tensor, even: float, odd: float) -> Tensor:
    return pictures + constant((even, odd), pictures).repeat(pictures.shape[-1] // 2 + 1)[: pictures.shape[-1]]


def _scale(quality: Tensor) -> Tensor:
    """IJG's percentage of the tables: 5000/q below 50, 200 - 2q from there; whole numbers."""
    quality = quality.round().clamp(1, 100)
    return torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)


def _steps(table: tuple[int, ...], scale: Tensor) -> Tensor:
    """(N, 8, 8) quantization steps from 1 to 255."""
    base = constant(table, scale).view(8, 8)
    return ((base * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)


def _coded(channels: Tensor, steps: Tensor) -> Tensor:
    """(N, C, H, W) levels after transform, quantization and back; H and W are multiples of 8."""
    number, count, height, width = channels.shape
    blocks = channels.view(number, count, height // 8, 8, width // 8, 8).transpose(3, 4) - 128
    basis = constant(_basis(), channels)
    steps = steps.to(channels.device, channels.dtype, non_blocking=True)[:, None, None, None]
    coefficients = basis @ blocks @ basis.T / steps
    coefficients = coefficients.sign() * (coefficients.abs() + _HALF).floor() * steps
    blocks = basis.T @ coefficients @ basis + 128
    return (blocks.transpose(3, 4).reshape(channels.shape) + _HALF).floor().clamp(0, 255)


@cache
def _basis() -> tuple[tuple[float, ...], ...]:
    """The orthonormal DCT-II, rows are frequencies (8, 8)."""
    place = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(math.pi / 8 * place[:, None] * (place[None, :] + 0.5)) / 2
    basis[0] /= math.sqrt(2)
    return tuple(map(tuple, basis.tolist()))
