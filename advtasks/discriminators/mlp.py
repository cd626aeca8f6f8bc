"""Fully connected critic, for points."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.layers import MinibatchDiscrimination, MinibatchStandardDeviation


class MLPDiscriminator(Discriminator):
    """Fully connected critic for points (N, C), with the condition joined to them (Goodfellow et al. 2014).

    Args:
        in_channels: dimension of point and condition together.
        width, layers: of the hidden part.
        activation: ``leaky-relu``, or ``tanh`` (unrolled GAN's toy networks).
        minibatch: as in :class:`ResNetDiscriminator`.
    """

    def __init__(
        self,
        in_channels: int = 2,
        width: int = 128,
        layers: int = 3,
        activation: Literal["leaky-relu", "tanh"] = "leaky-relu",
        minibatch: Literal["none", "stddev", "discrimination"] = "none",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.feature_width = width
        act: dict[str, Callable[[], nn.Module]] = {"leaky-relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh}
        sizes = [in_channels, *[width] * layers]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(one, two), act[activation]()) for one, two in itertools.pairwise(sizes)
        )
        compare: dict[str, Callable[[], nn.Module]] = {
            "none": nn.Identity,
            "stddev": MinibatchStandardDeviation,
            "discrimination": lambda: MinibatchDiscrimination(width),
        }
        self.compare = compare[minibatch]()
        extra = {"none": 0, "stddev": 1, "discrimination": 16}[minibatch]
        self.head = nn.Linear(width + extra, 1)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1) for points (N, C), and the activations of each layer."""
        x = join(picture, condition, self.in_channels)
        features: list[torch.Tensor] = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return CriticOutput(self.head(self.compare(x)), features)
