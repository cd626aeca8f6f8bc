"""The shape of a text encoder."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Encoded(NamedTuple):
    """Captions as embeddings."""

    sentences: Tensor
    """(N, E) float32 on the CPU, of unit length; zeros for a text without a word that is known."""
    cut: list[int]
    """How many tokens of each text were beyond what the encoder takes, and are not in it."""


class TextEncoder(abc.ABC):
    """Frozen; the same text always gives the same embedding, whatever stands beside it in a batch."""

    name: str
    """With the options that change the embedding."""
    width: int
    """E."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Hash of all that the embedding depends on, 12 hexadecimal digits."""

    @abc.abstractmethod
    def encode(self, texts: Sequence[str]) -> Encoded:
        """The embeddings of texts in any script."""
