"""The shape of a text encoder."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import normalize, pad


class Encoded(NamedTuple):
    """Captions as embeddings."""

    sentences: Tensor
    """(N, E) float32 on the CPU, of length √E; zeros for a text without a word that is known."""
    cut: list[int]
    """How many tokens of each text were beyond what the encoder takes, and are not in it."""


def scaled(sentences: Tensor) -> Tensor:
    """Rows (N, E) at length √E, so that their values are about as large as the noise that they stand beside and as the
    features that they join; zeros stay."""
    return normalize(sentences, dim=1) * sentences.shape[1] ** 0.5


def padded(states: Tensor, count: int) -> Tensor:
    """(N, T, W) cut or filled with zeros to (N, count, W), each state at length √W as sentences are."""
    kept = states[:, :count]
    kept = normalize(kept, dim=2) * kept.shape[2] ** 0.5
    return pad(kept, (0, 0, 0, count - kept.shape[1]))


class TextEncoder(abc.ABC):
    """Frozen; the same text always gives the same embedding, whatever stands beside it in a batch."""

    name: str
    """With the options that change the embedding."""
    width: int
    """E."""
    state_width: int
    """W of :meth:`states`."""
    reader: nn.Module | None = None
    """Of an encoder that learns from the data set: its network, which bundles carry."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Hash of all that the embedding depends on, 12 hexadecimal digits."""

    @abc.abstractmethod
    def encode(self, texts: Sequence[str]) -> Encoded:
        """The embeddings of texts in any script."""

    def cut(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of each text are beyond what the encoder takes."""
        return self.encode(texts).cut

    @abc.abstractmethod
    def states(self, texts: Sequence[str], count: int) -> Tensor:
        """The states of the first `count` tokens of each text (N, count, W), float32 on the CPU, of length √W; zeros
        where there is no token."""
