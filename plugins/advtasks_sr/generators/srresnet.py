"""SRResNet without batch norm (Ledig et al. 2017; the MSRResNet form of BasicSR)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, relu


class ResidualBlock(nn.Module):
    """``x + conv2(relu(conv1(x)))``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1)
        for layer in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(0.1)  # residual branches start small (Wang et al. 2018, section 3.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x + self.conv2(relu(self.conv1(x)))


class SRResNet(nn.Module):
    """Residual blocks at low resolution on top of an interpolated picture.

    With the default tail and scale 4 the state-dict names are those of BasicSR's ``MSRResNet`` (1,517,571
    parameters at 16 x 64), whose weights load directly.

    Args:
        scale: 2, 3, 4 or 8.
        features: width.
        blocks: residual blocks.
        tail: ``progressive`` enlarges by pixel shuffles of 2 with features at full resolution, as in the paper;
            ``direct`` makes all pixels by one shuffle from low resolution, a third of the work.
        base: interpolation that the network adds to.
    """

    def __init__(
        self,
        scale: int = 4,
        features: int = 64,
        blocks: int = 16,
        tail: Literal["progressive", "direct"] = "progressive",
        base: Literal["bilinear", "bicubic"] = "bilinear",
    ) -> None:
        super().__init__()
        self.scale, self.tail, self.base = scale, tail, base
        self.conv_first = nn.Conv2d(3, features, 3, 1, 1)
        self.body = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.factors: list[int] = []
        if tail == "progressive":
            self.factors = [3] if scale == 3 else [2] * int(math.log2(scale))
            for number, factor in enumerate(self.factors, 1):
                self.add_module(f"upconv{number}", nn.Conv2d(features, features * factor**2, 3, 1, 1))
            self.conv_hr = nn.Conv2d(features, features, 3, 1, 1)
            self.conv_last = nn.Conv2d(features, 3, 3, 1, 1)
        else:
            self.conv_last = nn.Conv2d(features, 3 * scale**2, 3, 1, 1)
            nn.init.zeros_(self.conv_last.weight)  # training starts from the interpolated picture
            assert self.conv_last.bias is not None
            nn.init.zeros_(self.conv_last.bias)

    @property
    def receptive_radius(self) -> int:
        """Input pixels to each side that an output pixel depends on."""
        reach = 1 if self.tail == "direct" else 2  # conv_last, and conv_hr before it
        for factor in reversed(self.factors):
            reach = math.ceil(reach / factor) + 1
        return reach + 2 * len(self.body) + 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale)."""
        base = interpolate(x.float(), scale_factor=self.scale, mode=self.base, align_corners=False,
                           antialias=self.base == "bicubic")  # fmt: skip
        y = self.body(leaky_relu(self.conv_first(x), 0.1))
        if self.tail == "direct":
            return base + nn.functional.pixel_shuffle(self.conv_last(y), self.scale).float()
        layers = dict(self.named_children())
        for number, factor in enumerate(self.factors, 1):
            y = leaky_relu(nn.functional.pixel_shuffle(layers[f"upconv{number}"](y), factor), 0.1)
        return base + self.conv_last(leaky_relu(self.conv_hr(y), 0.1)).float()
