"""Total variation of a picture."""

from __future__ import annotations

from torch import Tensor


def total_variation(output: Tensor) -> Tensor:
    """``E |x_(i+1,j) - x_(i,j)| + E |x_(i,j+1) - x_(i,j)|``, the anisotropic form of Rudin, Osher & Fatemi (1992)
    as a mean, a scalar; 0 for a flat picture. It smooths: weights of 1e-2 and less are customary beside L1.

    Args:
        output: pictures (N, C, H, W), sides from 2 pixels.
    """
    return output.diff(dim=-2).abs().mean() + output.diff(dim=-1).abs().mean()
