"""Pixelwise feature normalisation (progressive growing: Karras et al. 2018, section 4.2)."""

from __future__ import annotations

from torch import Tensor, nn


class PixelNorm(nn.Module):
    """``x / sqrt(mean over channels of x² + ε)`` at each place of (N, C, ...)."""

    def __init__(self, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """The same shape; every place has a mean square of 1."""
        return x * (x.square().mean(1, keepdim=True) + self.epsilon).rsqrt()
