"""DF-GAN's generator (Tao et al. 2022): one stage, the text moves every layer."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from advtasks.errors import UsageError
from advtasks_text2image.generators.text_generator import TextGenerator
from advtasks_text2image.generators.word_attention import WordAttention


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
    other branch has a learnt gain (DF-GAN, figure 4). What is done to each place alone is done before the side doubles,
    which gives the same for a quarter of the work."""

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
        residual = x
        for number, convolution in enumerate(self.convolutions):
            for affine in self.affine[2 * number : 2 * number + 2]:
                residual = leaky_relu(affine(residual, condition), 0.2)
            residual = convolution(residual if number else _doubled(residual))
        return _doubled(self.shortcut(x)) + self.gain * residual


def _doubled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


class DeepFusion(TextGenerator):
    """Noise to 4x4 features by a linear layer, then blocks that double the side and are moved by noise and text
    together; no normalisation, so each picture is its own.

    Args:
        width: channels of the last block; twice as many a level down, at most 8 times (the paper: 32).
        hidden: of the affine layers' networks; the paper's are as wide as noise and text together.
        gain: of the blocks' inner branches before training. 0 is the paper's code, for its hundreds of thousands of
            steps; with 1 a short training need not wait for it to grow.
        joined: the first layer sees the text beside the noise, as in StackGAN and AttnGAN, so that layouts follow it
            sooner; DF-GAN's sees the noise alone.
        attention: side of the features whose places look at the words (a power of two from 8 to size); 0 for none.
        states: width of the words' states.
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
        joined: bool = False,
        attention: int = 0,
        states: int = 256,
        reader: str = "",
    ) -> None:
        super().__init__(embedding, latent, size, augment, reader)
        levels = int(math.log2(size)) - 1
        widths = [width * min(2**level, 8) for level in reversed(range(levels))]
        condition = latent + self.condition_width
        self.joined = joined
        self.first = nn.Linear(condition if joined else latent, widths[0] * 16)
        self.blocks = nn.ModuleList(
            FusionBlock(before, after, condition, hidden, gain) for before, after in itertools.pairwise(widths)
        )
        sides = [8 * 2**level for level in range(levels - 1)]
        if attention and attention not in sides:
            raise UsageError(f"df: attention must be a side of the network's features, one of {sides}, got {attention}")
        self.attends = bool(attention)
        self.attended = sides.index(attention) if attention else -1
        self.attention = WordAttention(widths[self.attended + 1], states) if attention else None
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def pictures(self, noise: Tensor, condition: Tensor, words: Tensor | None = None) -> Tensor:
        """In [0, 1] by tanh."""
        both = torch.cat((noise, condition), 1)
        x = self.first(both if self.joined else noise).unflatten(1, (-1, 4, 4))
        for number, block in enumerate(self.blocks):
            x = block(x, both)
            if self.attention is not None and number == self.attended:
                if words is None:
                    raise ValueError("a generator that attends to words needs their states")
                x = self.attention(x, words)
        return (self.last(leaky_relu(x, 0.2)).tanh() + 1) / 2
