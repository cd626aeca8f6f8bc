"""Maximum mean discrepancies between features: the kernel inception distance (Bińkowski et al. 2018, section 4), and
with a Gaussian kernel that of CMMD (Jayasumana et al. 2024). On other features than their papers' they bear the name of
the backbone."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from advtasks.evaluation.intervals import Estimate

Kernel = Callable[[Tensor, Tensor], Tensor]
_ROWS = 512
"""Of a kernel's matrix that are there at a time."""


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    """(x·y / d + 1)³, that of KID."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(sigma: float = 10.0) -> Kernel:
    """exp(-|x - y|² / 2σ²); CMMD takes σ = 10 on CLIP embeddings and reports a thousandfold."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(x, y).square() / (2 * sigma**2))

    return kernel


def kernel_distance(first: Tensor, second: Tensor, kernel: Kernel = polynomial, confidence: float = 0.95) -> Estimate:
    """Unbiased estimate of the squared maximum mean discrepancy, in float64, with the interval of the jackknife. Around
    0 for samples of one law, and below it about half of the time, where the interval is too wide; lower is better.

    Args:
        first: (N, d) features, N at least 3.
        second: (M, d) features, M at least 3.

    Raises:
        ValueError: fewer than three samples.
    """
    if min(len(first), len(second)) < 3:
        raise ValueError(f"at least three samples of each are needed, got {len(first)} and {len(second)}")
    x, y = first.double(), second.double()
    n, m = len(x), len(y)
    xx, yy = (_sums(z, z, kernel)[0] - _own(z, kernel) for z in (x, y))
    from_x, from_y = _sums(x, y, kernel)
    cross = from_x.sum()
    value = xx.sum() / (n * (n - 1)) + yy.sum() / (m * (m - 1)) - 2 * cross / (n * m)
    # what the estimate is without each sample
    without_x = (
        (xx.sum() - 2 * xx) / ((n - 1) * (n - 2)) + yy.sum() / (m * (m - 1)) - 2 * (cross - from_x) / ((n - 1) * m)
    )
    without_y = (
        xx.sum() / (n * (n - 1)) + (yy.sum() - 2 * yy) / ((m - 1) * (m - 2)) - 2 * (cross - from_y) / (n * (m - 1))
    )
    variance = sum(
        (len(left) - 1) / len(left) * (left - left.mean()).square().sum().item() for left in (without_x, without_y)
    )
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance)
    return Estimate(value.item(), value.item() - reach, value.item() + reach)


def _sums(x: Tensor, y: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Row and column sums of the kernel's matrix, which is never there as a whole."""
    rows, columns = [], y.new_zeros(len(y))
    for part in x.split(_ROWS):
        matrix = kernel(part, y)
        rows.append(matrix.sum(1))
        columns += matrix.sum(0)
    return torch.cat(rows), columns


def _own(z: Tensor, kernel: Kernel) -> Tensor:
    """(N,) the kernel of each sample with itself."""
    return torch.cat([kernel(part, part).diagonal() for part in z.split(_ROWS)])
