"""Places of a picture look at the words of its text (AttnGAN: Xu et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class WordAttention(nn.Module):
    """``x + γ V(w) softmax(Q(x) K(w)ᵀ / √d)``: each place takes what the words say to it (Xu et al. 2018, eq. 2 and 3,
    joined by channels there), γ 0 before training. Beside the words stands a silent one, so that places need not
    listen, and texts without a word say nothing.

    Args:
        channels: of x.
        states: width of the words' states.
        inner: d.
    """

    def __init__(self, channels: int, states: int, inner: int = 64) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, inner, 1)
        self.key, self.value = nn.Linear(states, inner, bias=False), nn.Linear(states, channels, bias=False)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """x (N, C, H, W) and words (N, T, S), zeros where there is no word."""
        words = torch.nn.functional.pad(words, (0, 0, 0, 1))  # the silent one
        there = (words != 0).any(2)
        there[:, -1] = True
        queries = self.query(x).flatten(2).transpose(1, 2)
        keys, values = self.key(words).to(queries), self.value(words).to(queries)
        found = scaled_dot_product_attention(queries, keys, values, attn_mask=there[:, None])
        result: Tensor = x + self.gain * found.transpose(1, 2).reshape(x.shape)
        return result
