"""Captioned pictures out of the cache, with the embeddings of their captions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from advtasks.data.cache import PictureCache, decoded
from advtasks.data.captions import Captioned
from advtasks.data.loader import Position
from advtasks.data.parallel import in_parallel
from advtasks.features import FeatureNetwork
from advtasks.task import Batch
from advtasks_text2image.config import TextConfig

SIDE = 128
"""Pictures are enlarged to this before a feature network sees them: it was trained on larger ones."""
_BATCH = 32


@dataclass(frozen=True)
class Loaded:
    """A picture that is there, and what is said of it."""

    content: str
    captions: tuple[str, ...]
    read: Callable[[], NDArray[np.uint8]]
    """Gives its pixels, (S, S, 3). Not held here: there may be any number of pictures."""


def fitted(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(H, W, 3) scaled to cover a square of `size` by Pillow's antialiased Lanczos filter, the middle cut out."""
    image = Image.fromarray(pixels)
    if image.size == (size, size):
        return pixels
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)).copy()


class CaptionedPictures(Dataset[Batch]):
    """Pictures, each with one of its captions at random; what is drawn depends on the position alone.

    Args:
        items: pictures of one size.
        embeddings: one (K, E) for each picture, of its K captions.
        flip: mirror half of them.
        words: one (K, T, W) for each picture, the states of the tokens of its captions, where they are wanted.
    """

    def __init__(
        self,
        items: Sequence[Loaded],
        embeddings: Sequence[Tensor],
        flip: bool,
        words: Sequence[Tensor] | None = None,
    ) -> None:
        self.items, self.embeddings, self.flip, self.words = items, embeddings, flip, words
        same: dict[str, int] = {}
        self.identities = [same.setdefault(item.content, len(same)) for item in items]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: Position) -> Batch:
        draws = np.random.default_rng(position.seed)
        embeddings = self.embeddings[position.index]
        pixels = self.items[position.index].read()
        if self.flip and draws.random() < 0.5:
            pixels = pixels[:, ::-1]
        caption = int(draws.integers(len(embeddings)))
        found = {
            "real": torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            "embedding": embeddings[caption],
            "identity": torch.tensor(self.identities[position.index]),
        }
        return found if self.words is None else {**found, "words": self.words[position.index][caption]}


def load(items: Sequence[Captioned], config: TextConfig, cache: PictureCache, notes: list[str]) -> list[Loaded]:
    """The pictures of captions, at the run's size; broken files are noted and passed over."""

    def read(item: Captioned) -> Loaded:
        pixels = functools.partial(_pixels, item.path, config.size, cache)
        pixels()  # so that broken files are found
        return Loaded(cache.content(item.path), item.captions, pixels)

    found, errors = cache.load("decoding pictures", items, read)
    notes += [f"skipped  {error}" for error in errors]
    return found


def _pixels(path: Path, size: int, cache: PictureCache) -> NDArray[np.uint8]:
    return cache.of(path, f"fit{size}", lambda: fitted(decoded(path), size))[1]


def pixels_of(items: Sequence[Loaded]) -> Tensor:
    """(N, 3, S, S) in [0, 1].

    Raises:
        DataError: one cannot be read any more.
    """
    found, errors = in_parallel("reading pictures", items, lambda item: item.read())
    if errors:
        raise errors[0]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous().float() / 255


@torch.inference_mode()
def pooled_features(network: FeatureNetwork, pictures: Tensor) -> Tensor:
    """(N, 3, S, S) to (N, d) of a frozen network, on the CPU, of the pictures enlarged to :data:`SIDE`."""
    place = next(network.buffers()).device
    parts = (
        interpolate(part.to(place), (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        for part in pictures.split(_BATCH)
    )
    return torch.cat([network.embedding(part).features.float().cpu() for part in parts])


def features_of(network: FeatureNetwork, items: Sequence[Loaded]) -> Tensor:
    """(N, d); read a few at a time."""
    parts = (items[first : first + _BATCH] for first in range(0, len(items), _BATCH))
    return torch.cat([pooled_features(network, pixels_of(part)) for part in parts])
