"""What captions say to a text encoder: computed once for a set of captions, and kept."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advtasks import components
from advtasks.data.cache import PictureCache
from advtasks.errors import DataError
from advtasks.regularizers import surely_wrong
from advtasks_text2image.data import Loaded, features_of
from advtasks_text2image.encoders import CharacterEncoder, TextEncoder

TEACHER = "efficientnet-lite0"
"""Whose features an encoder learns to name; never those that pictures are measured with."""
_LOOKED_AT = 65536
"""Captions at most among which those are that are compared."""
_COMPARED = 512
"""Captions at most that are compared with each other."""
_APART = 0.5
"""Share of their pairs from which on nothing is said."""


def teach(encoder: CharacterEncoder, items: Sequence[Loaded], cache: PictureCache, size: int) -> None:
    """Let the encoder learn from pictures of a size and captions; computed once for a set of them and kept."""
    content = hashlib.blake2b(digest_size=16)
    for item in items:
        content.update(f"{item.content} {item.captions!r}".encode())

    def learn() -> NDArray[np.float32]:
        network = components.build("features", TEACHER)
        features = features_of(network, items).clone()
        numbers = {content: number for number, content in enumerate({item.content: 0 for item in items})}
        identities = torch.tensor([numbers[item.content] for item in items])
        watch = functools.partial(cache.watch, "teaching the encoder")
        encoder.learn([item.captions for item in items], features, identities, watch)
        return torch.cat([weight.reshape(-1) for weight in weights]).numpy()

    weights = list(encoder.reader.state_dict().values())  # they share their memory with the reader
    recipe = f"reader-{encoder.name}-{TEACHER}-{size}"
    vector = torch.from_numpy(cache.array(content.hexdigest(), recipe, learn).copy())
    for weight, values in zip(weights, vector.split([weight.numel() for weight in weights]), strict=True):
        weight.copy_(values.view_as(weight))


def states(items: Sequence[Loaded], encoder: TextEncoder, count: int, cache: PictureCache) -> list[Tensor]:
    """The states (K, count, W) of the tokens of each picture's captions; kept as embeddings are."""
    texts = [caption for item in items for caption in item.captions]
    content = hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()
    recipe = f"states-{count}-{encoder.name.replace('/', '-')}-{encoder.fingerprint}"
    found = cache.array(content, recipe, lambda: encoder.states(texts, count).numpy())
    return list(torch.from_numpy(found.copy()).split([len(item.captions) for item in items]))


def embed(items: Sequence[Loaded], encoder: TextEncoder, cache: PictureCache, notes: list[str]) -> list[Tensor]:
    """The embeddings (K, E) of each picture's captions; computed once for a set of captions and an encoder."""
    texts = [caption for item in items for caption in item.captions]
    content = hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()
    recipe = f"sentence-cut-{encoder.name.replace('/', '-')}-{encoder.fingerprint}"

    def encode() -> NDArray[np.float32]:
        """With the tokens that were cut as a last column, so that they are said of known embeddings, too."""
        found = encoder.encode(texts)
        return np.column_stack((found.sentences.numpy(), np.array(found.cut, np.float32)))

    known = torch.from_numpy(cache.array(content, recipe, encode).copy())
    vectors, cut = known[:, :-1], known[:, -1].int()
    if cut.any():
        longest = int(cut.argmax())
        notes.append(
            f"warning: {int((cut > 0).sum())} captions are longer than {encoder.name} takes and were cut, most "
            f"{int(cut[longest])} tokens of {texts[longest][:60]!r}"
        )
    unknown = int((vectors.square().sum(1) == 0).sum())
    if unknown:
        notes.append(f"warning: {unknown} captions hold no word that {encoder.name} knows")
    return list(vectors.split([len(item.captions) for item in items]))


def told_apart(folder: Path, embeddings: Sequence[Tensor], encoder: TextEncoder) -> list[str]:
    """What is to be said of how alike captions are to the encoder.

    Raises:
        DataError: all of them are nearly the same.
    """
    every = torch.cat(list(embeddings))
    every = every[:: -(-len(every) // _LOOKED_AT)].unique(dim=0)  # sorting millions takes minutes
    every = every[every.any(1)]
    if not surely_wrong(every[:1], every, None, None).any():
        raise DataError(
            f"{folder}: all captions are nearly the same to {encoder.name}, so nothing can be learnt from them: "
            "give captions that tell pictures apart, or another --encoder"
        )
    some = every[:: -(-len(every) // _COMPARED)]
    apart = surely_wrong(some, some, None, None).sum().item() / (len(some) * (len(some) - 1))
    if apart >= _APART:
        return []
    return [
        f"warning: {1 - apart:.0%} of the pairs of captions are nearly the same to {encoder.name} (cosines from 0.9) "
        "and never called wrong for each other: take another --encoder, or a higher matching-aware:limit=0.97"
    ]
