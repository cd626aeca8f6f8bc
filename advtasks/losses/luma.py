"""Luma of BT.601 in studio swing, as MATLAB's ``rgb2ycbcr``: the plane on which papers measure PSNR."""

from __future__ import annotations

from torch import Tensor

from advtasks.transfers import constant

WEIGHTS = (65.481, 128.553, 24.966)
"""Of R, G and B in [0, 1]; Y is 16 plus their sum, in [16, 235]."""


def studio_luma(pictures: Tensor) -> Tensor:
    """``Y = 65.481 R + 128.553 G + 24.966 B + 16`` in [16, 235] for RGB (N, 3, H, W) in [0, 1]; gives (N, 1, H, W) in
    the precision of the input."""
    return (pictures * constant(WEIGHTS, pictures).view(1, 3, 1, 1)).sum(1, keepdim=True) + 16


def luma_l1(output: Tensor, target: Tensor) -> Tensor:
    """``E |Y(y) - Y(x)| / 255``, a scalar: L1 on the plane of PSNR-Y. Colour that leaves Y as it is costs nothing, so
    it belongs beside a loss that sees colour.

    Args:
        output, target: RGB pictures (N, 3, H, W) in [0, 1].
    """
    return (studio_luma(output) - studio_luma(target)).abs().mean() / 255
