"""Which captioned pictures are trained on, and which are validated on."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from advtasks.data.cache import PictureCache
from advtasks.data.captions import Captioned, Captions, find_captions
from advtasks.data.folder import hold_out
from advtasks.data.listing import few
from advtasks.data.splits import own_splits, without_validated
from advtasks.data.streamed import PassingOver
from advtasks.errors import DataError
from advtasks.task import Splits
from advtasks_text2image.caption_vectors import embed, states, teach, told_apart
from advtasks_text2image.config import TextConfig
from advtasks_text2image.data import CaptionedPictures, Loaded, load
from advtasks_text2image.encoders import CharacterEncoder, TextEncoder


@dataclass(frozen=True)
class Held:
    """What validation measures against."""

    name: str
    validation: tuple[Loaded, ...]
    train: tuple[Loaded, ...]


def make_splits(config: TextConfig, encoder: TextEncoder, cache: PictureCache, attends: bool = False) -> Splits:
    """Pictures to train on, and what validation measures. An encoder that learns does so here.

    Args:
        attends: the generator wants the states of the words, too.

    Raises:
        DataError: nothing to train on, or captions that all say the same.
    """
    assert config.data is not None, "the run checks that --data was given"
    found, notes = find(config.data, config)
    train, validation = _divided(found, config, cache, notes)
    for items, folder, what in ((train, config.data, "train"), (validation, config.validation, "validate")):
        if not items:
            raise DataError("\n  ".join([f"{folder or config.data}: nothing is left to {what} on", *notes]))
    notes.append(f"{found.name}: {found.summary()}")
    notes.append(f"{len(train)} pictures to train on, {len(validation)} to validate on; text encoder {encoder.name}")
    if isinstance(encoder, CharacterEncoder):
        teach(encoder, train, cache, config.size)
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


def _divided(
    found: Captions, config: TextConfig, cache: PictureCache, notes: list[str]
) -> tuple[list[Loaded], list[Loaded]]:
    """What to train on and what to validate on: given, of the folder's own parts, or held out."""
    assert config.data is not None, "the run checks that --data was given"
    chosen = by_own_splits(found.items, config.data, notes)
    if config.validation is not None:
        others, more = find(config.validation, config)
        notes += more
        chosen = (found.items if chosen is None else chosen[0], others.items)
    train = load(found.items if chosen is None else chosen[0], config, cache, notes)
    if chosen is not None:
        validation = by_content(load(chosen[1], config, cache, notes))
        contents = {item.content for item in validation}
        return without_validated(train, lambda item: item.content, contents, notes), validation
    held_out = hold_out([item.content for item in train], most=config.metric_pictures)
    validation = [item for item in train if item.content in held_out]
    if train and not validation:
        notes.append("warning: too few pictures to hold any out; validation measures what is trained on")
        return train, train
    return [item for item in train if item.content not in held_out], validation


def by_content(items: Sequence[Loaded]) -> list[Loaded]:
    """In an order that does not go by folders: the first of them are measured."""
    return sorted(items, key=lambda item: item.content)


def by_own_splits(
    items: Sequence[Captioned], folder: Path, notes: list[str]
) -> tuple[Sequence[Captioned], Sequence[Captioned]] | None:
    """The parts that the folder itself trains and validates on, if it has some."""
    splits = own_splits(folder, [item.path for item in items])
    if splits is None:
        return None
    train, validation, test = ([item for item in items if item.path in paths] for paths in map(set, splits.values()))
    if validation and test:
        notes.append(f"ignored  {len(test)} pictures of the folder's own test split")
    notes.append(f"split as its folders say: {', '.join(name for name, paths in splits.items() if paths)}")
    return train, validation or test


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
