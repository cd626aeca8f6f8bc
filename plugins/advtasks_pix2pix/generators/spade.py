"""Spatially-adaptive normalisation for label maps (Park et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, interpolate, leaky_relu

from advtasks_pix2pix.generators.blocks import Generator

_HIDDEN = 128
_WIDTHS = (16, 16, 16, 8, 4, 2, 1)


class _Modulated(nn.Module):
    """Instance norm without weights, then a scale and a shift for each pixel, computed from the map there (equation 1;
    the paper takes batch statistics, which differ between training and evaluation)."""

    def __init__(self, features: int, labels: int) -> None:
        super().__init__()
        self.shared = nn.Conv2d(labels, _HIDDEN, 3, 1, 1)
        self.scale = nn.Conv2d(_HIDDEN, features, 3, 1, 1)
        self.shift = nn.Conv2d(_HIDDEN, features, 3, 1, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape; `labels` (N, labels, h, w)."""
        hidden = self.shared(labels).relu()
        return instance_norm(x) * (1 + self.scale(hidden)) + self.shift(hidden)


class _Block(nn.Module):
    """Two modulated convolutions beside a shortcut (figure 4)."""

    def __init__(self, inputs: int, outputs: int, labels: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm1, self.conv1 = _Modulated(inputs, labels), nn.Conv2d(inputs, middle, 3, 1, 1)
        self.norm2, self.conv2 = _Modulated(middle, labels), nn.Conv2d(middle, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None
        self.norm3 = _Modulated(inputs, labels) if inputs != outputs else None

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        around = x
        if self.shortcut is not None and self.norm3 is not None:
            around = self.shortcut(self.norm3(x, labels))
        x = self.conv1(leaky_relu(self.norm1(x, labels), 0.2))
        return around + self.conv2(leaky_relu(self.norm2(x, labels), 0.2))


class SPADE(Generator):
    """(N, in_channels, H, W) label maps, one channel a class, to (N, out_channels, H, W) in [0, 1]; H and W multiples
    of 64.

    The map itself at a 32nd of its size is the beginning; each level doubles the size and is modulated by the map.

    Args:
        width: features at full resolution; the lowest levels have 16 times as many. The paper has 64.
        noise_channels: see :class:`~advtasks_pix2pix.generators.blocks.Generator`.
    """

    multiple_of = 64

    def __init__(self, in_channels: int = 12, out_channels: int = 3, width: int = 32, noise_channels: int = 0) -> None:
        super().__init__(in_channels, out_channels, noise_channels)
        labels = in_channels + noise_channels
        widths = [width * factor for factor in _WIDTHS]
        self.first = nn.Conv2d(labels, widths[0], 3, 1, 1)
        self.blocks = nn.ModuleList(_Block(a, b, labels) for a, b in zip((widths[0], *widths), widths, strict=False))
        self.head = nn.Conv2d(widths[-1], out_channels, 3, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """See the class."""
        labels = self.seen(x, noise)
        height, width = labels.shape[-2:]
        sizes = [(height >> level, width >> level) for level in (5, 5, 4, 3, 2, 1, 0)]
        features = self.first(_resized(labels, sizes[0]))
        for block, size in zip(self.blocks, sizes, strict=True):
            features = block(_resized(features, size), _resized(labels, size))
        return (torch.tanh(self.head(leaky_relu(features, 0.2)).float()) + 1) / 2


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[-2:] == size else interpolate(x, size, mode="nearest")
