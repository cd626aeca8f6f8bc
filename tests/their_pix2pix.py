"""The generators of pytorch-CycleGAN-and-pix2pix as its description has them, with its names of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def theirs(norm: str, features: int) -> nn.Module:
    """Their normalisation."""
    return {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d, "none": nn.Identity}[norm](features)


class Level(nn.Module):
    """A level of their U-Net around the next one, which they keep in one ``nn.Sequential``."""

    def __init__(self, outer: int, features: int, inputs: int, norm: str, inside: nn.Module | None, top: bool) -> None:
        super().__init__()
        self.top = top
        bias = norm == "instance"
        down = nn.Conv2d(inputs, features, 4, 2, 1, bias=bias)
        given = features if inside is None else 2 * features
        up = nn.ConvTranspose2d(given, outer, 4, 2, 1, bias=bias or top)
        if top:
            layers = [down, inside, nn.ReLU(), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, theirs(norm, outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, theirs(norm, features), inside, nn.ReLU(), up, theirs(norm, outer)]
        self.model = nn.Sequential(*layers)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.top else torch.cat([x, self.model(x)], 1)


class TheirUNet(nn.Module):
    """Their U-Net, of any size."""

    def __init__(self, levels: int, width: int, norm: str, inputs: int = 1, outputs: int = 2) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(levels)]
        inside: nn.Module | None = None
        for level in reversed(range(levels)):
            outer = widths[level - 1] if level else outputs
            inside = Level(outer, widths[level], outer if level else inputs, norm, inside, level == 0)
        self.model = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class TheirBlock(nn.Module):
    """One of its blocks."""

    def __init__(self, features: int, norm: str, dropout: bool) -> None:
        super().__init__()
        conv = lambda: nn.Conv2d(features, features, 3, bias=norm == "instance")  # noqa: E731
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), conv(), theirs(norm, features), nn.ReLU(), *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1), conv(), theirs(norm, features),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class TheirResNet(nn.Module):
    """Their residual network."""

    def __init__(self, blocks: int, width: int, norm: str, dropout: bool) -> None:
        super().__init__()
        bias, layers = norm == "instance", [nn.ReflectionPad2d(3)]
        layers += [nn.Conv2d(1, width, 7, bias=bias), theirs(norm, width), nn.ReLU()]
        for inputs in (width, 2 * width):
            layers += [nn.Conv2d(inputs, 2 * inputs, 3, 2, 1, bias=bias), theirs(norm, 2 * inputs), nn.ReLU()]
        layers += [TheirBlock(4 * width, norm, dropout) for _ in range(blocks)]
        for inputs in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(inputs, inputs // 2, 3, 2, 1, output_padding=1, bias=bias)
            layers += [up, theirs(norm, inputs // 2), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 2, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
