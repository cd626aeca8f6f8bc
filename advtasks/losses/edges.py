"""Distances of picture gradients: Sobel edges, and their variance in small squares."""

from __future__ import annotations

from torch import Tensor

from advtasks.errors import UsageError
from advtasks.greyscale import greyscale
from advtasks.sobel import sobel


def sobel_edges(output: Tensor, target: Tensor) -> Tensor:
    """``E |S_h(y - x)| + E |S_v(y - x)|`` with Sobel's derivatives S, a scalar: L1 of edges, blind to flat offsets.

    Args:
        output, target: pictures (N, C, H, W) in [0, 1], sides from 3 pixels.
    """
    horizontal, vertical = sobel(target - output)
    return horizontal.abs().mean() + vertical.abs().mean()


def gradient_variance(output: Tensor, target: Tensor, window: int = 8) -> Tensor:
    """``E (v_h(y) - v_h(x))² + E (v_v(y) - v_v(x))²``, v the variance of the grey picture's Sobel derivative in squares
    that do not overlap (Abrahamyan et al. 2022, section 3), a scalar. Blurred outputs have too small a variance.

    Args:
        output, target: RGB pictures (N, 3, H, W) in [0, 1].
        window: side of the squares; what is left over at right and bottom is not compared.

    Raises:
        UsageError: no square fits.
    """
    if min(output.shape[-2:]) < window + 2:
        raise UsageError(f"gradient-variance needs pictures from {window + 2} pixels a side, got {output.shape[-1]}")
    total = output.new_zeros(())
    for one, other in zip(sobel(greyscale(output)), sobel(greyscale(target)), strict=True):
        total = total + (_variances(one, window) - _variances(other, window)).square().mean()
    return total


def _variances(plane: Tensor, window: int) -> Tensor:
    return plane.unfold(2, window, window).unfold(3, window, window).flatten(-2).var(-1)
