"""Virtual batch normalisation (Salimans et al. 2016, section 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.wide import at_least_float32


class VirtualBatchNorm(nn.Module):
    """Batch norm with the statistics of a fixed reference batch and the sample itself, so that a sample's output does
    not depend on the others of its batch.

    First :attr:`reference` is switched on and the network sees the reference batch: each layer keeps the moments of
    what reaches it. Then it is switched off and the samples follow: sample x is normalised with
    ``(n · reference moments + moments of x) / (n + 1)``, n the size of the reference batch. Moments are taken in
    float32 at least.

    Args:
        channels: of x (N, C, ...).
        epsilon: added to the variance.

    Raises:
        RuntimeError: it has seen no reference batch.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon
        self.reference = False
        self._moments: tuple[Tensor, Tensor, int] | None = None

    def forget(self) -> None:
        """Drop the moments, which hold the graph of the reference pass."""
        self._moments = None

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        flat = at_least_float32(x).reshape(*x.shape[:2], -1)
        mean, variance = flat.mean(2), flat.var(2, unbiased=False)
        if self.reference:
            center = mean.mean(0)
            spread = (variance + (mean - center).square()).mean(0)
            self._moments = center, spread, x.shape[0]
            mean, variance = center[None], spread[None]
        else:
            if self._moments is None:
                raise RuntimeError("virtual batch norm has seen no reference batch")
            center, spread, count = self._moments
            both = (count * center + mean) / (count + 1)
            around = variance + (mean - both).square()
            variance = (count * (spread + (center - both).square()) + around) / (count + 1)
            mean = both
        scale = self.weight * (variance + self.epsilon).rsqrt()
        result = (flat - mean[:, :, None]) * scale[:, :, None] + self.bias[None, :, None]
        return result.view_as(x).to(x.dtype)
