"""The generator of ESRGAN (Wang et al. 2018, section 3.1)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_unshuffle

from advtasks.errors import UsageError


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each of which sees all outputs before it; scaled by 0.2 and added."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            outputs = growth if number < 5 else features
            layer = nn.Conv2d(features + (number - 1) * growth, outputs, 3, 1, 1)
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(0.1)
            self.add_module(f"conv{number}", layer)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        seen = [x]
        layers = dict(self.named_children())
        for number in range(1, 5):
            seen.append(leaky_relu(layers[f"conv{number}"](torch.cat(seen, 1)), 0.2))
        return x + 0.2 * layers["conv5"](torch.cat(seen, 1))


class RRDB(nn.Module):
    """Three dense blocks with a residual around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth)
        self.rdb2 = ResidualDenseBlock(features, growth)
        self.rdb3 = ResidualDenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """RRDB trunk, nearest-neighbour enlargement with convolutions. State-dict names are those of BasicSR's
    ``RRDBNet`` (16,697,987 parameters at 23 blocks and scale 4), whose weights for scales 2 and 4 load directly.

    Args:
        scale: 2, 3, 4 or 8. At 2 the picture is first packed 2×2 into channels, as in Real-ESRGAN; at 3 it is enlarged
            once, by 3.
        features: width of the trunk.
        blocks: RRDBs.
        growth: channels that each dense convolution adds.
    """

    def __init__(self, scale: int = 4, features: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        if scale not in (2, 3, 4, 8):
            raise UsageError(f"rrdb enlarges by 2, 3, 4 or 8, not by {scale}; compact and span take any whole number")
        self.scale = scale
        self.packing = 2 if scale == 2 else 1
        self.conv_first = nn.Conv2d(3 * self.packing**2, features, 3, 1, 1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, 1, 1)
        self.factors = [3] if scale == 3 else [2] * int(math.log2(scale * self.packing))
        for number in range(1, len(self.factors) + 1):
            self.add_module(f"conv_up{number}", nn.Conv2d(features, features, 3, 1, 1))
        self.conv_hr = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_last = nn.Conv2d(features, 3, 3, 1, 1)

    @property
    def multiple_of(self) -> int:
        """Input sides must be multiples of this."""
        return self.packing

    @property
    def receptive_radius(self) -> int:
        """Input pixels to each side that an output pixel depends on."""
        reach = 2  # conv_last and conv_hr
        for factor in reversed(self.factors):
            reach = math.ceil((reach + 1) / factor)
        return (reach + 1 + 15 * len(self.body) + 1) * self.packing + self.packing - 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale)."""
        x = self.conv_first(pixel_unshuffle(x, self.packing) if self.packing > 1 else x)
        x = x + self.conv_body(self.body(x))
        layers: dict[str, Any] = dict(self.named_children())
        for number, factor in enumerate(self.factors, 1):
            x = leaky_relu(layers[f"conv_up{number}"](interpolate(x, scale_factor=factor, mode="nearest")), 0.2)
        result: Tensor = self.conv_last(leaky_relu(self.conv_hr(x), 0.2))
        return result.float()
