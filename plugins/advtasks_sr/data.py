"""Training patches and validation pictures out of the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from torch.utils.data import Dataset

from advtasks.data.cache import PictureCache
from advtasks.data.folder import hold_out
from advtasks.data.listing import few, refuse
from advtasks.data.splits import without_validated
from advtasks.data.streamed import PassingOver, identities
from advtasks.errors import DataError, UsageError
from advtasks.task import Batch, Splits
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.layouts import Source, Sources, find_sources
from advtasks_sr.lows import LowSide, make_low_side
from advtasks_sr.patches import Pair, Patches
from advtasks_sr.reading import Known, Reader
from advtasks_sr.targets import Targets, target_cut

_NONE_USABLE = "warning: none of the pictures to validate on can be used; some of the training ones are"
Sized = TypeVar("Sized", Pair, Known)


def _loaded(items: Sequence[Source], reader: Reader, notes: list[str], what: str = "decoding pictures") -> list[Pair]:
    """The pictures of `items` at both resolutions; unreadable ones are named in the notes."""
    pairs, errors = reader.cache.load(what, items, reader.pair)
    notes += [f"skipped  {error}" for error in errors]
    return pairs


def _refuse_pairs(config: SuperResolutionConfig, sources: Sources) -> None:
    """Two low-resolution sides for one picture are a contradiction."""
    own = next((source.low for source in sources.train if source.low is not None), None)
    if config.makes_low and own is not None:
        field = "degradation" if config.degradation != "bicubic" else "random_scale"
        raise UsageError(
            f"{field}: {config.data} has low-resolution pictures of its own ({own}, ...). Leave {field} out to "
            "train on these pairs, or give --data the folder of its high-resolution pictures alone"
        )


def make_splits(config: SuperResolutionConfig, cache: PictureCache) -> Splits:
    """Training patches and whole validation pictures.

    Raises:
        DataError: nothing to train on, or pairs that do not fit.
        UsageError: a degradation or random scale for such pairs, or an unusable recipe.
    """
    assert config.data is not None, "the run checks that --data was given"
    scale, low_side = config.scale, make_low_side(config)
    sources = find_sources(config.data, scale)
    _refuse_pairs(config, sources)
    refuse(sources.problems, "pictures do not pair")
    reader = Reader(low_side, cache)
    if not cache.keeps:
        return _streamed_splits(config, sources, reader)
    load = reader.target if config.makes_low else reader.pair
    found, errors = cache.load("decoding pictures", sources.train, lambda source: Known.of(source, load(source)))
    notes = [f"skipped  {error}" for error in errors]
    notes += _ignored(sources)
    train = _large(found, config, low_side, notes)
    kept: list[Known] = []
    validation: list[Pair] = []
    if config.validation is not None:
        validation, more = load_folder(config.validation, low_side, cache)
        notes += more
    elif sources.validation:
        validation = _measurable(_loaded(sources.validation, reader, notes), scale, notes)
        if not validation:
            notes.append(_NONE_USABLE)
    if validation:
        train = without_validated(train, lambda one: one.content, {pair.content for pair in validation}, notes)
    else:
        held_out = hold_out([one.content for one in _measurable(train, scale)])
        kept = [one for one in train if one.content in held_out]
        train = [one for one in train if one.content not in held_out]
    if not train:
        raise DataError("\n  ".join([f"{config.data}: nothing is left to train on", *notes]))
    if not validation and not kept:
        kept = _measurable(train, scale)
        notes.append("warning: too few pictures to hold any out; validation measures what is trained on")
    if kept and config.makes_low:  # what trains has none of its own; each takes seconds where it is large
        validation = _loaded([one.source for one in kept], reader, notes, "making low resolutions")
    elif kept:
        validation = [reader.pair(one.source) for one in kept]
    if not validation:
        why = "can be read any more" if kept else "is large enough (more than 32 pixels a side)"
        text = f"no picture to validate on {why}: use --validation DIR"
        raise DataError("\n  ".join([f"{config.data}: {text}", *notes]))
    notes.append(
        f"{sources.name}: {len(train)} pictures to train on, {len(validation)} to validate on "
        f"({few([Path(pair.name) for pair in validation])})"
    )
    contents = _fingerprint([one.content + one.low_content for one in train], low_side)
    return Splits(_patches([one.source for one in train], config, reader), validation, tuple(notes), contents)


def _ignored(sources: Sources) -> list[str]:
    many = len(sources.ignored)
    return [f"ignored  {many} other files: {few(sources.ignored)}"] if many else []


def _large(found: Sequence[Known], config: SuperResolutionConfig, low_side: LowSide, notes: list[str]) -> list[Known]:
    """Pictures that a training patch can be cut from; the others are named in the notes."""
    least = target_cut(config, low_side).side if config.makes_low else config.patch * config.scale
    small = [one for one in found if min(one.size) < least]
    if small:
        margin = " with the margin that its degradation needs" if config.makes_low else ""
        notes.append(
            f"skipped  {len(small)} pictures smaller than a patch of {least}x{least}{margin}: "
            f"{few([Path(one.name) for one in small])}; a smaller --patch uses them"
        )
    return [one for one in found if min(one.size) >= least]


def _patches(train: Sequence[Source], config: SuperResolutionConfig, reader: Reader) -> Dataset[Batch]:
    """What is cut out of them; their files are opened when they are needed, since there may be any number."""
    if config.makes_low:
        return PassingOver(Targets(train, target_cut(config, reader.low_side), reader.target))
    load = reader.pair if reader.cache.keeps else reader.target  # of whole pictures only where they are kept
    return PassingOver(Patches(train, config.patch, config.scale, config.channel_shuffle, load))


def _fingerprint(contents: Sequence[str], low_side: LowSide) -> str:
    """Of the training data; a recipe's file is part of them."""
    recipe = [] if low_side.recipe is None else [low_side.name]
    return hashlib.sha256(" ".join([*contents, *recipe]).encode()).hexdigest()


def _streamed_splits(config: SuperResolutionConfig, sources: Sources, reader: Reader) -> Splits:
    """Patches that are decoded when they are needed; the validation pictures are kept in memory.

    Raises:
        DataError: no picture can be validated on, or a file is gone.
    """
    assert config.data is not None, "the run checks that --data was given"
    named = identities([source.high for source in sources.train], config.data)
    numbers = dict(zip(named, sources.train, strict=True))
    train, notes = list(sources.train), _ignored(sources)
    if config.validation is not None:
        pairs, more = load_folder(config.validation, reader.low_side, reader.cache)
        notes += more
    else:
        pairs = _measurable(_loaded(sources.validation, reader, notes), config.scale, notes)
        if sources.validation and not pairs:
            notes.append(_NONE_USABLE)
        if not pairs:
            held_out = hold_out(list(numbers))
            train = [source for number, source in numbers.items() if number not in held_out]
            validation = [source for number, source in numbers.items() if number in held_out]
            pairs = _measurable(_loaded(validation, reader, notes), config.scale, notes)
    names = {os.path.realpath(pair.name) for pair in pairs}  # contents are not known
    train = without_validated(train, lambda source: os.path.realpath(source.high), names, notes)
    if not train:
        raise DataError("\n  ".join([f"{config.data}: nothing is left to train on", *notes]))
    if not pairs:
        raise DataError(
            "\n  ".join([f"{sources.name}: no picture can be validated on; give some with --validation", *notes])
        )
    notes.append(
        f"{sources.name}: {len(train)} pictures to train on, decoded each time they are needed, {len(pairs)} to "
        f"validate on ({few([Path(pair.name) for pair in pairs])})"
    )
    lows = identities([source.low for source in train if source.low is not None], config.data)
    contents = [*identities([source.high for source in train], config.data), *lows]
    return Splits(_patches(train, config, reader), pairs, tuple(notes), _fingerprint(contents, reader.low_side))


def load_folder(folder: Path, low_side: LowSide, cache: PictureCache) -> tuple[list[Pair], list[str]]:
    """The pictures of a folder, for evaluation; those for validation where it divides them.

    Raises:
        DataError: none can be used, or pairs that do not fit.
    """
    sources = find_sources(folder, low_side.scale)
    refuse(sources.problems, "pictures do not pair")
    notes = _ignored(sources)
    if sources.validation:
        notes.append(f"{folder}: measured on its {len(sources.validation)} pictures for validation")
    elif sources.divided:
        notes.append(f"warning: {folder}: measured on its pictures for training, as no other can be")
    pairs = _loaded(sources.validation or sources.train, Reader(low_side, cache), notes)
    usable = _measurable(pairs, low_side.scale, notes)
    if not usable:
        raise DataError("\n  ".join([f"{folder}: no picture can be measured", *notes]))
    return usable, notes


def _measurable(pairs: Sequence[Sized], scale: int, notes: list[str] | None = None) -> list[Sized]:
    """Pictures large enough for the metrics' border crop and window; smaller ones are named in the notes."""
    least = max(2 * scale + 11, 32)
    small = [Path(pair.name) for pair in pairs if min(pair.size) <= least]
    if small and notes is not None:
        notes.append(f"skipped  {len(small)} pictures of {least} pixels a side or less, to measure: {few(small)}")
    return [pair for pair in pairs if min(pair.size) > least]
