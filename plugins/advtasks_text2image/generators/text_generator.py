"""The shape of a generator of pictures of a text."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advtasks import components
from advtasks_text2image.generators.augmentation import ConditioningAugmentation


def noise_of(seeds: Iterable[int], latent: int) -> Tensor:
    """(seeds, latent), standard normal: a row a seed, whatever the others are."""
    return torch.stack([torch.randn(latent, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


class Synthesized(NamedTuple):
    """What a generator makes."""

    pictures: Tensor
    """(N, 3, S, S) in [0, 1]."""
    divergence: Tensor | None
    """(N,) of the conditioning augmentation from the standard normal, where there is one."""


class TextGenerator(nn.Module, abc.ABC):
    """From noise (N, latent) and an embedding (N, embedding) to pictures (N, 3, size, size) in [0, 1].

    Args:
        embedding: width of the text encoder's embeddings.
        latent: dimension of the noise.
        size: side of the pictures.
        augment: width of the conditioning augmentation; 0 for none.
        reader: text encoder whose network is kept here, for those that learn from the data set; empty for others.
    """

    attends: bool = False
    """Whether it is shown the states of the words, too."""

    def __init__(self, embedding: int, latent: int, size: int, augment: int, reader: str = "") -> None:
        super().__init__()
        self.reader: nn.Module | None = components.build("text_encoders", reader).reader if reader else None
        self.embedding, self.latent, self.size = embedding, latent, size
        self.augmentation = ConditioningAugmentation(embedding, augment) if augment else None

    @property
    def augment(self) -> int:
        """Width of the augmentation's noise; 0 for none."""
        return 0 if self.augmentation is None else self.augmentation.width

    @property
    def condition_width(self) -> int:
        """Of what :meth:`pictures` is given."""
        return self.augment or self.embedding

    def synthesize(
        self, noise: Tensor, embedding: Tensor, words: Tensor | None = None, shake: Tensor | None = None
    ) -> Synthesized:
        """Pictures, and the divergence of the augmentation.

        Args:
            words: (N, T, states) of the tokens, for generators that attend to them.
            shake: (N, augment) standard normal; without it the augmentation gives its mean.
        """
        if self.augmentation is None:
            return Synthesized(self.pictures(noise, embedding, words), None)
        condition, divergence = self.augmentation(embedding, shake)
        return Synthesized(self.pictures(noise, condition, words), divergence)

    def forward(
        self, noise: Tensor, embedding: Tensor, words: Tensor | None = None, shake: Tensor | None = None
    ) -> Tensor | Synthesized:
        """The pictures alone; with `shake` what :meth:`synthesize` gives, by the way that compiling and sharing among
        processes (FSDP2) know."""
        return (
            self.synthesize(noise, embedding, words).pictures
            if shake is None
            else self.synthesize(noise, embedding, words, shake)
        )

    @abc.abstractmethod
    def pictures(self, noise: Tensor, condition: Tensor, words: Tensor | None) -> Tensor:
        """Pictures of a condition (N, condition_width)."""
