"""The generator of GAN-CLS (Reed et al. 2016): DCGAN with the text beside the noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from advtasks_text2image.generators.text_generator import TextGenerator


class DCGAN(TextGenerator):
    """The embedding, mapped to 128 values, stands beside the noise; transposed convolutions of 4x4 double the side
    from 4, with batch norm and ReLU (Radford et al. 2016); weights N(0, 0.02).

    Args:
        width: channels before the last layer; twice as many a level down, at most 8 times (the paper: 64).
        compressed: values that the embedding is mapped to; not used with `augment`.
    """

    def __init__(
        self,
        embedding: int = 256,
        latent: int = 100,
        size: int = 64,
        width: int = 64,
        augment: int = 0,
        compressed: int = 128,
        reader: str = "",
    ) -> None:
        super().__init__(embedding, latent, size, augment, reader)
        self.compress = None if augment else nn.Linear(embedding, compressed)
        levels = int(math.log2(size)) - 2
        widths = [width * min(2**level, 8) for level in reversed(range(levels))]
        inputs = latent + (augment or compressed)
        self.first = nn.ConvTranspose2d(inputs, widths[0], 4, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in widths)
        outputs = [*widths[1:], 3]
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, 2, 1, bias=after == 3)
            for before, after in zip(widths, outputs, strict=True)
        )
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def pictures(self, noise: Tensor, condition: Tensor, words: Tensor | None = None) -> Tensor:
        """In [0, 1] by tanh."""
        if self.compress is not None:
            condition = leaky_relu(self.compress(condition), 0.2)
        x = self.first(torch.cat((noise, condition), 1)[..., None, None])
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(relu(norm(x)))
        return (x.tanh() + 1) / 2
