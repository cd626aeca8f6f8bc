"""Captioned pictures out of the cache, with the embeddings of their captions."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from advtasks import components
from advtasks.data.cache import PictureCache
from advtasks.data.captions import Captioned, Captions, find_captions
from advtasks.data.folder import hold_out
from advtasks.data.listing import few
from advtasks.data.loader import Position
from advtasks.data.parallel import in_parallel
from advtasks.data.streamed import PassingOver
from advtasks.errors import DataError
from advtasks.features import FeatureNetwork
from advtasks.pictures.decode import read_picture
from advtasks.regularizers import surely_wrong
from advtasks.task import Batch, Splits
from advtasks_text2image.config import TextConfig
from advtasks_text2image.encoders import CharacterEncoder, TextEncoder

TEACHER = "efficientnet-lite0"
"""Whose features an encoder learns to name; never those that pictures are measured with."""
SIDE = 128
"""Pictures are enlarged to this before a feature network sees them: it was trained on larger ones."""
_COMPARED = 512
"""Captions at most that are compared with each other."""
_APART = 0.5
"""Share of their pairs from which on nothing is said."""
_BATCH = 32


@dataclass(frozen=True)
class Loaded:
    """A picture that is there, and what is said of it."""

    content: str
    captions: tuple[str, ...]
    read: Callable[[], NDArray[np.uint8]]
    """Gives its pixels, (S, S, 3). Not held here: there may be any number of pictures."""


@dataclass(frozen=True)
class Held:
    """What validation measures against."""

    name: str
    validation: tuple[Loaded, ...]
    train: tuple[Loaded, ...]


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


def make_splits(config: TextConfig, encoder: TextEncoder, cache: PictureCache, attends: bool = False) -> Splits:
    """Pictures to train on, and what validation measures. An encoder that learns does so here.

    Args:
        attends: the generator wants the states of the words, too.

    Raises:
        DataError: nothing to train on, or captions that all say the same.
    """
    assert config.data is not None, "the run checks that --data was given"
    found, notes = find(config.data, config)
    loaded = load(found.items, config, cache, notes)
    if config.validation is not None:
        others, more = find(config.validation, config)
        notes += more
        validation, train = load(others.items, config, cache, notes), loaded
    else:
        held_out = hold_out([item.content for item in loaded], most=config.metric_pictures)
        validation = [item for item in loaded if item.content in held_out]
        train = [item for item in loaded if item.content not in held_out]
        if not validation and train:
            validation = train
            notes.append("warning: too few pictures to hold any out; validation measures what is trained on")
    if not train:
        raise DataError("\n  ".join([f"{config.data}: nothing is left to train on", *notes]))
    notes.append(f"{found.name}: {found.summary()}")
    notes.append(f"{len(train)} pictures to train on, {len(validation)} to validate on; text encoder {encoder.name}")
    if isinstance(encoder, CharacterEncoder):
        teach(encoder, train, cache)
    embeddings = embed(train, encoder, cache, notes)
    notes += told_apart(config.data, embeddings, encoder)
    words = states(train, encoder, config.words, cache) if attends else None
    contents = [item.content + repr(item.captions) for item in train]
    recipe = f"{config.size} {encoder.fingerprint}" + f" {config.words} words" * attends
    digest = hashlib.sha256("\n".join([*contents, recipe]).encode()).hexdigest()
    data = PassingOver(CaptionedPictures(train, embeddings, config.flip, words))
    if not cache.keeps:  # these are looked at time and again
        measured = validation[: config.metric_pictures]
        validation[: len(measured)] = [replace(one, read=functools.partial(np.asarray, one.read())) for one in measured]
    held = Held("held out", tuple(validation), tuple(train))
    return Splits(data, [held], tuple(notes), digest)


def told_apart(folder: Path, embeddings: Sequence[Tensor], encoder: TextEncoder) -> list[str]:
    """What is to be said of how alike captions are to the encoder.

    Raises:
        DataError: all of them are nearly the same.
    """
    every = torch.cat(list(embeddings)).unique(dim=0)
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


def find(folder: Path, config: TextConfig) -> tuple[Captions, list[str]]:
    """The captions of a folder, and what is to be said of them.

    Raises:
        DataError: there are no captions; the message says why.
    """
    found = find_captions(folder, config.captions == "names")
    notes = []
    if found.missing:
        notes.append(f"warning: {len(found.missing)} captions are of files that are not there: {few(found.missing)}")
    if found.uncaptioned:
        many = f"{len(found.uncaptioned)} pictures without a caption"
        notes.append(f"warning: {many} are left out: {few(found.uncaptioned)}")
    return found, notes


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
    return cache.of(path, f"fit{size}", lambda: fitted(read_picture(path).rgb8(), size))[1]


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


def teach(encoder: CharacterEncoder, items: Sequence[Loaded], cache: PictureCache) -> None:
    """Let the encoder learn from pictures and captions; computed once for a set of them and kept."""
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
    vector = torch.from_numpy(cache.array(content.hexdigest(), f"reader-{encoder.name}", learn).copy())
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
