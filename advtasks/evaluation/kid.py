"""Kernel inception distance (Bińkowski et al. 2018, section 4), on features of any network; results bear its name."""

from __future__ import annotations

from torch import Tensor


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy with the kernel (x·y / d + 1)³, in float64. Around 0
    for samples of one distribution, and below it about half of the time; lower is better.

    Args:
        first: (N, d) features, N at least 2.
        second: (M, d) features, M at least 2.

    Raises:
        ValueError: fewer than two samples.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"at least two samples of each are needed, got {len(first)} and {len(second)}")
    x, y = first.double(), second.double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    own = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (kernel(x, x), kernel(y, y))]
    return float(own[0] + own[1] - 2 * kernel(x, y).mean())
