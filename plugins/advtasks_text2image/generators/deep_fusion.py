"""DF-GAN's generator (Tao et al. 2022): one stage, the text moves every layer."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from advtasks_text2image.generators.text_generator import TextGenerator


class Affine(nn.Module):
    """``γ(c) x + β(c)`` channel by channel; the identity before training (DF-GAN, section 3.3).

    Args:
        condition: width of c.
        hidden: of the two small networks.
        channels: of x.
    """

    def __init__(self, condition: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.before = nn.Linear(condition, 2 * hidden)
        self.scale, self.shift = nn.Linear(hidden, channels), nn.Linear(hidden, channels)
        for layer, bias in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, C, H, W)."""
        first, second = self.before(condition).relu().chunk(2, 1)
        return self.scale(first)[..., None, None] * x + self.shift(second)[..., None, None]


class FusionBlock(nn.Module):
    """Doubles the side, then twice two affine layers with leaky ReLU before a convolution of 3x3, and a shortcut; the
    other branch has a learnt gain (DF-GAN, figure 4)."""

    def __init__(self, inputs: int, outputs: int, condition: int, hidden: int, gain: float) -> None:
        super().__init__()
        self.affine = nn.ModuleList(
            Affine(condition, hidden, channels) for channels in (inputs, inputs, outputs, outputs)
        )
        self.convolutions = nn.ModuleList(
            (nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1))
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.gain = nn.Parameter(torch.full((1,), gain))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', 2H, 2W)."""
        x = interpolate(x, scale_factor=2, mode="nearest")
        residual = x
        for number, convolution in enumerate(self.convolutions):
            for affine in self.affine[2 * number : 2 * number + 2]:
                residual = leaky_relu(affine(residual, condition), 0.2)
            residual = convolution(residual)
        result: Tensor = self.shortcut(x) + self.gain * residual
        return result


class DeepFusion(TextGenerator):
    """Noise to 4x4 features by a linear layer, then blocks that double the side and are moved by noise and text
    together; no normalisation, so each picture is its own.

    Args:
        width: channels of the last block; twice as many a level down, at most 8 times (the paper: 32).
        hidden: of the affine layers' networks; the paper's are as wide as noise and text together.
        gain: of the blocks' inner branches before training. 0 is the paper's code, for its hundreds of thousands of
            steps; with 1 a short training need not wait for it to grow.
    """

    def __init__(
        self,
        embedding: int = 256,
        latent: int = 100,
        size: int = 64,
        width: int = 32,
        augment: int = 0,
        hidden: int = 128,
        gain: float = 0.0,
    ) -> None:
        super().__init__(embedding, latent, size, augment)
        levels = int(math.log2(size)) - 1
        widths = [width * min(2**level, 8) for level in reversed(range(levels))]
        self.first = nn.Linear(latent, widths[0] * 16)
        condition = latent + self.condition_width
        self.blocks = nn.ModuleList(
            FusionBlock(before, after, condition, hidden, gain) for before, after in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def pictures(self, noise: Tensor, condition: Tensor) -> Tensor:
        """In [0, 1] by tanh."""
        both = torch.cat((noise, condition), 1)
        x = self.first(noise).unflatten(1, (-1, 4, 4))
        for block in self.blocks:
            x = block(x, both)
        return (self.last(leaky_relu(x, 0.2)).tanh() + 1) / 2
