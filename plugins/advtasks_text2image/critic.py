"""The critic of text-conditioned pictures: the text joins where the picture is small."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu

from advtasks.discriminators import CriticOutput, Discriminator
from advtasks.errors import UsageError


class TextDiscriminator(Discriminator):
    """Residual blocks that halve the picture, down to 4x4 at 64 pixels and four blocks, where the embedding joins each
    place; two convolutions give one logit for 4x4 places (GAN-CLS: Reed et al. 2016, section 4.1; the one-way output of
    DF-GAN: Tao et al. 2022, section 3.2). No normalisation, so each picture is judged alone.

    Args:
        in_channels: of picture and embedding together: 3 and the embedding's width.
        width: of the first block; each further one is twice as wide, at most 8 times (DF-GAN: 32).
        blocks: how often the picture is halved; DF-GAN: until 4x4 are left.
        gain: of the blocks' inner branches before training; DF-GAN: 0.
        compressed: values that the embedding is mapped to before it joins; 0 joins all of it, as DF-GAN does.
    """

    judges_alone = True

    def __init__(
        self, in_channels: int = 3, width: int = 32, blocks: int = 4, compressed: int = 0, gain: float = 0.0
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise UsageError(f"text: blocks must be at least 1, got {blocks}")
        if in_channels < 3:
            raise UsageError("the critic 'text' judges RGB pictures, with an embedding where the task shows one")
        self.embedding = in_channels - 3
        self.first = nn.Conv2d(3, width, 3, padding=1)
        widths = [width * min(2**number, 8) for number in range(blocks + 1)]
        self.blocks = nn.ModuleList(_Halving(*pair, gain) for pair in itertools.pairwise(widths))
        self.feature_width = inputs = widths[-1]
        self.compress = nn.Linear(self.embedding, compressed) if compressed and self.embedding else None
        joined = inputs + (compressed if self.compress is not None else self.embedding)
        self.joint = nn.Conv2d(joined, 2 * width, 3, padding=1)
        self.head = nn.Conv2d(2 * width, 1, 4)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, L), one for 4x4 places, and the activations of each block.

        Raises:
            UsageError: no RGB, or too small for the blocks.
        """
        least = 4 * 2 ** len(self.blocks)
        if picture.shape[1] != 3 or min(picture.shape[2:]) < least:
            raise UsageError(
                f"the critic 'text' with {len(self.blocks)} blocks wants RGB pictures from {least} pixels a side and "
                f"got {tuple(picture.shape)}: give it fewer blocks (text:blocks=2)"
            )
        x = self.first(picture * 2 - 1)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return CriticOutput(self._judge(x, condition), features)

    def rejudge(self, seen: CriticOutput, condition: Tensor) -> Tensor:
        """The picture's features are computed once for all texts, as in DF-GAN's code."""
        return self._judge(seen.features[-1].to(self.head.weight.dtype), condition)

    def _judge(self, x: Tensor, condition: Tensor | None) -> Tensor:
        if self.embedding:
            if condition is None:
                raise ValueError("this critic was made for a condition")
            embedding = condition.to(x)
            if self.compress is not None:
                embedding = leaky_relu(self.compress(embedding), 0.2)
            x = torch.cat((x, embedding[..., None, None].expand(-1, -1, *x.shape[2:])), 1)
        logits: Tensor = self.head(leaky_relu(self.joint(x), 0.2))
        return logits.flatten(1)


class _Halving(nn.Module):
    """DF-GAN's block: ``shortcut(x) + γ · residual(x)``; the shortcut halves before its 1x1 convolution, which gives
    the same for a quarter of the work."""

    judges_alone = True

    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        self.conv = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.gain = nn.Parameter(torch.full((1,), gain))

    def forward(self, x: Tensor) -> Tensor:
        residual = leaky_relu(self.conv(leaky_relu(self.down(x), 0.2)), 0.2)
        result: Tensor = self.shortcut(avg_pool2d(x, 2)) + self.gain * residual
        return result
