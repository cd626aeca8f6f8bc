"""The shape of a frozen feature network."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Embedding(NamedTuple):
    """Whole pictures as vectors."""

    features: Tensor
    """(N, d)."""
    logits: Tensor | None = None
    """(N, K), of the classes that the network knows, if it knows any."""


class FeatureNetwork(nn.Module, abc.ABC):
    """Takes RGB pictures (N, 3, H, W) in [0, 1], normalises them itself, gives features from shallow to deep.

    It is always in evaluation mode and its parameters never require a gradient; gradients reach its input.
    """

    name: str
    """The name that metrics bear: ``efficientnet-lite2``."""
    layer_names: tuple[str, ...] = ()
    """What :meth:`forward` gives, shallow to deep; empty for networks that do not tell."""
    side: int = 224
    """Of the square that pictures are resized to for :meth:`embedding`."""
    embeds: str = "deepest features, averaged over the picture"
    """What :meth:`embedding` gives."""
    published: Mapping[str, str] = MappingProxyType({})
    """Names of the literature that metrics on this network may bear: ``{"frechet": "clean-FID"}``."""

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def freeze(self) -> None:
        """For the end of a sub-class's constructor: evaluation mode, no parameter gradients, channels-last (which
        halves the time of EfficientNet-Lite on a CPU)."""
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in evaluation mode."""
        return super().train(False)

    def normalized(self, pictures: Tensor) -> Tensor:
        """Pictures in the value range of the network's own training."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)

    @abc.abstractmethod
    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features (N, C_i, H_i, W_i), shallow to deep."""

    def embedding(self, pictures: Tensor) -> Embedding:
        """Whole pictures (N, 3, S, S) in [0, 1], S = :attr:`side`, as vectors, for metrics of distributions."""
        return Embedding(self(pictures)[-1].mean((-2, -1)))
