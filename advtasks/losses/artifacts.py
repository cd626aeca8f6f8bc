"""Locally discriminative learning: the residual, weighted where it looks like an artifact (Liang et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from advtasks.errors import UsageError

WINDOW = 7
"""Side of the window of the local variance (Liang et al. 2022, section 3.2)."""


def _residual(output: Tensor, target: Tensor) -> Tensor:
    return (target - output).abs().sum(1, keepdim=True)


def _local_variance(values: Tensor, window: int) -> Tensor:
    """Unbiased variance of the `window`×`window` values around each place, the border mirrored; (N, 1, H, W)."""
    reach = window // 2
    around = pad(values, (reach,) * 4, mode="reflect")
    patches = around.unfold(2, window, 1).unfold(3, window, 1)
    return patches.flatten(-2).var(-1)


@torch.no_grad()
def artifact_map(output: Tensor, target: Tensor, average: Tensor | None = None, window: int = WINDOW) -> Tensor:
    """How much each place looks like an artifact (Liang et al. 2022, section 3.2).

    ``M = var_window(R) · var(R)^(1/5)`` with the residual ``R = Σ_c |y - x|``: artifacts vary within a few pixels, and
    the second factor, one number a picture, holds the map back once a picture is nearly right. With `average` the
    places where the output is nearer the target than the moving average's output, ``R < R_average``, are 0.

    Args:
        output, target: pictures (N, C, H, W) in [0, 1], sides from 4 pixels.
        average: what the moving average of the generator made of the same input, or None.
        window: side of the window, odd.

    Returns:
        (N, 1, H, W), without a graph.

    Raises:
        UsageError: a picture is smaller than the window needs.
    """
    if min(output.shape[-2:]) <= window // 2:
        raise UsageError(f"ldl needs pictures from {window // 2 + 1} pixels a side, got {tuple(output.shape[-2:])}")
    residual = _residual(output, target)
    found = _local_variance(residual, window) * residual.var(dim=(1, 2, 3), keepdim=True).pow(0.2)
    if average is not None:
        found = torch.where(residual < _residual(average, target), 0.0, found)
    return found


def locally_discriminative(output: Tensor, target: Tensor, average: Tensor | None = None) -> Tensor:
    """``E |M (y - x)|`` with :func:`artifact_map` as M (LDL: Liang et al. 2022, section 3.3), a scalar.

    M is a weight: no gradient passes through it (the authors' code lets it pass). Without `average` the map is the
    unrefined one and spares nothing that the moving average does worse; this is what the task ``sr`` trains, since its
    objective sees output and target. Its values are small beside L1, so weights of 1 and more are customary.

    Args:
        output, target: pictures (N, C, H, W) in [0, 1].
        average: output of the generator's moving average, or None.
    """
    return (artifact_map(output, target, average) * (target - output)).abs().mean()
