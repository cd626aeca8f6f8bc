"""An encoder that needs nothing: words and their parts as random directions."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from advtasks.errors import UsageError
from advtasks_text2image.encoders.text_encoder import Encoded, TextEncoder, padded, scaled

VERSION = 1
_PARTS = 3
"""Letters of a word's parts."""
_OF_PARTS = 0.5
"""Weight of all parts of a word together, beside the word's own 1."""


class HashEncoder(TextEncoder):
    """The sum of fixed random directions of a text's words and of their parts of three letters (feature hashing:
    Weinberger et al. 2009): texts are alike that share words, or words that share letters. It knows no meaning, every
    language equally little, and no order of words.

    Args:
        width: of the embedding.
    """

    def __init__(self, width: int = 256) -> None:
        if width < 8:
            raise UsageError(f"hash: width must be at least 8, got {width}")
        self.width = self.state_width = width
        self.name = f"hash-{width}"

    @property
    def fingerprint(self) -> str:
        """Of version and width."""
        return hashlib.sha256(f"hash {VERSION} {self.width}".encode()).hexdigest()[:12]

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Nothing is ever cut."""
        found = torch.stack([self._sentence(text) for text in texts])
        return Encoded(scaled(found), [0] * len(texts))

    def states(self, texts: Sequence[str], count: int) -> Tensor:
        """A state a word."""
        found = torch.zeros(len(texts), count, self.width)
        for row, text in enumerate(texts):
            for place, word in enumerate(words(text)[:count]):
                found[row, place] = self._word(word)
        return padded(found, count)

    def _sentence(self, text: str) -> Tensor:
        return sum((self._word(word) for word in words(text)), torch.zeros(self.width))

    def _word(self, word: str) -> Tensor:
        total = _direction(word, self.width)
        framed = f"<{word}>"
        parts = [framed[i : i + _PARTS] for i in range(len(framed) - _PARTS + 1)]
        for part in parts:
            total = total + _OF_PARTS / len(parts) ** 0.5 * _direction(f"part {part}", self.width)
        return total


def words(text: str) -> list[str]:
    """Runs of letters, marks and digits, in lower case."""
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFKC", text).casefold())
    return "".join(kept).split()


@lru_cache(maxsize=100_000)
def _direction(word: str, width: int) -> Tensor:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=7).digest(), "little")
    return torch.randn(width, generator=torch.Generator().manual_seed(seed)) / width**0.5
