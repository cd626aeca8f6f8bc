"""Self-attention over the places of a feature map (SAGAN: Zhang et al. 2018, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelfAttention2d(nn.Module):
    """``x + γ · v(softmax(q(x)ᵀ k(x)) h(x))``, γ = 0 at the start: the identity (eq. 3).

    Written out rather than through a fused kernel, because gradient penalties differentiate it twice.

    Args:
        channels: of x (N, C, H, W).
        reduction: queries and keys have C / reduction channels, values C / 2, as in the paper's code.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, max(channels // 2, 1), 1, bias=False)
        self.out = nn.Conv2d(max(channels // 2, 1), channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        query, key, value = (layer(x).flatten(2).transpose(1, 2) for layer in (self.query, self.key, self.value))
        weights = torch.softmax(query @ key.transpose(1, 2), dim=-1)  # no scaling by the width, as in the paper
        attended = (weights @ value).transpose(1, 2).unflatten(2, x.shape[2:])
        result: Tensor = x + self.gamma * self.out(attended)
        return result
