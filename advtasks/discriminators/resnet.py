"""Residual critic (SNGAN: Miyato et al. 2018, table 4; SAGAN and BigGAN use the same blocks)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.errors import UsageError
from advtasks.layers import MinibatchDiscrimination, MinibatchStandardDeviation, SelfAttention2d


class ResNetDiscriminator(Discriminator):
    """Residual blocks that halve the picture, ReLU, sum over places, one linear layer; any size.

    Args:
        in_channels: channels of picture and condition together.
        width: of the first block; each further block is twice as wide, up to 8 times.
        blocks: how often the picture is halved.
        attention: self-attention after the second block (SAGAN).
        minibatch: ``stddev`` (progressive growing) before the sum, or ``discrimination`` (improved techniques) after
            it, lets the critic compare the samples of a batch.

    Raises:
        UsageError: fewer than 1 block.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 64,
        blocks: int = 4,
        attention: bool = False,
        minibatch: Literal["none", "stddev", "discrimination"] = "none",
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise UsageError(f"resnet: blocks must be at least 1, got {blocks}")
        self.in_channels = in_channels
        widths = [min(width * 2**i, width * 8) for i in range(blocks)]
        self.blocks = nn.ModuleList()
        inputs = in_channels
        for number, outputs in enumerate(widths):
            self.blocks.append(_Block(inputs, outputs, first=number == 0))
            inputs = outputs
        self.attention = SelfAttention2d(widths[min(1, blocks - 1)]) if attention else None
        self.feature_width = widths[-1]
        self.last = _Block(inputs, inputs, first=False, halve=False)
        self.stddev = MinibatchStandardDeviation() if minibatch == "stddev" else None
        self.comparison = MinibatchDiscrimination(inputs) if minibatch == "discrimination" else None
        extra = {"none": 0, "stddev": 1, "discrimination": 16}[minibatch]
        self.head = nn.Linear(inputs + extra, 1)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1), and the activations of each block."""
        x = join(picture, condition, self.in_channels)
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if self.attention is not None and number == min(1, len(self.blocks) - 1):
                x = self.attention(x)
            features.append(x)
        x = relu(self.last(x))
        features.append(x)
        if self.stddev is not None:
            x = self.stddev(x)
        x = x.flatten(2).sum(2)
        if self.comparison is not None:
            x = self.comparison(x)
        return CriticOutput(self.head(x), features)


class _Block(nn.Module):
    """``shortcut(x) + conv(relu(conv(relu(x))))``, halved by average pooling; the first one begins without ReLU."""

    def __init__(self, inputs: int, outputs: int, *, first: bool, halve: bool = True) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs or halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        result: Tensor = residual + self.shortcut(x)
        if self.halve and min(result.shape[2:]) > 1:
            result = avg_pool2d(result, 2)
        return result
