"""Training patches and validation pictures out of the cache."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from advtasks.data.cache import PictureCache
from advtasks.data.folder import hold_out
from advtasks.data.listing import few, refuse
from advtasks.data.streamed import PassingOver, identities
from advtasks.errors import DataError, UsageError
from advtasks.task import Batch, Splits
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.layouts import Source, Sources, find_sources
from advtasks_sr.lows import LowSide, make_low_side
from advtasks_sr.patches import Pair, Patches
from advtasks_sr.reading import decoded, read_pair
from advtasks_sr.targets import Targets, target_cut


def load_pairs(
    sources: Sources, items: Sequence[Source], low_side: LowSide, cache: PictureCache, targets: bool = False
) -> tuple[list[Pair], list[str]]:
    """Decode (or find in the cache) the pictures of `items`; unreadable ones are named in the notes.

    Args:
        low_side: makes it for pictures that have none of their own.
        targets: leave it out for those; :func:`_completed` makes it later.

    Raises:
        DataError: pairs that do not fit, by name.
    """
    refuse(sources.problems, "pictures do not pair")

    def load(source: Source) -> Pair:
        pair = read_pair(source, low_side.scale, cache.rgb8)
        return pair if targets else _completed(pair, low_side, cache)

    pairs, errors = cache.load("decoding pictures", items, load)
    return pairs, [f"skipped  {error}" for error in errors]


def _completed(pair: Pair, low_side: LowSide, cache: PictureCache) -> Pair:
    """With a low-resolution side."""
    if pair.low is not None:
        return pair
    low = cache.array(pair.content, low_side.name, lambda: low_side.of_picture(np.asarray(pair.high)))
    return dataclasses.replace(pair, low=low)


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
    if config.cache_gib == 0:
        return _streamed_splits(config, sources, low_side, cache)
    pairs, notes = load_pairs(sources, sources.train, low_side, cache, targets=config.makes_low)
    if sources.ignored:
        notes.append(f"ignored  {len(sources.ignored)} other files: {few(sources.ignored)}")
    cut = target_cut(config, low_side)
    least = cut.side if config.makes_low else config.patch * scale
    small = [pair for pair in pairs if min(pair.high.shape[:2]) < least]
    if small:
        margin = " with the margin that its degradation needs" if config.makes_low else ""
        notes.append(
            f"skipped  {len(small)} pictures smaller than a patch of {least}x{least}{margin}: "
            f"{few([Path(pair.name) for pair in small])}; a smaller --patch uses them"
        )
    train = [pair for pair in pairs if min(pair.high.shape[:2]) >= least]
    if config.validation is not None:
        validation, more = load_folder(config.validation, low_side, cache)
        notes += more
    elif sources.validation:
        validation, more = load_pairs(sources, sources.validation, low_side, cache)
        notes += more
    else:
        held_out = hold_out([pair.content for pair in _measurable(train, scale)])
        validation = [pair for pair in train if pair.content in held_out]
        train = [pair for pair in train if pair.content not in held_out]
    validation = _measurable(validation, scale)
    if not train:
        raise DataError("\n  ".join([f"{config.data}: nothing is left to train on", *notes]))
    if not validation:
        validation = _measurable(train, scale)
        notes.append("warning: too few pictures to hold any out; validation measures what is trained on")
    if not validation:
        text = "no picture is large enough to validate on (more than 32 pixels a side): use --validation DIR"
        raise DataError("\n  ".join([f"{config.data}: {text}", *notes]))
    if any(pair.low is None for pair in validation):  # held out of what trains; each takes seconds where it is large
        validation, errors = cache.load(
            "making low resolutions", validation, lambda pair: _completed(pair, low_side, cache)
        )
        notes += [f"skipped  {error}" for error in errors]
    notes.append(
        f"{sources.name}: {len(train)} pictures to train on, {len(validation)} to validate on "
        f"({few([Path(pair.name) for pair in validation])})"
    )
    contents = _fingerprint([pair.content + pair.low_content for pair in train], low_side)
    if config.makes_low:
        return Splits(Targets(train, cut), validation, tuple(notes), contents)
    patches = Patches(train, config.patch, scale, config.channel_shuffle)
    return Splits(patches, validation, tuple(notes), contents)


def _fingerprint(contents: Sequence[str], low_side: LowSide) -> str:
    """Of the training data; a recipe's file is part of them."""
    recipe = [] if low_side.recipe is None else [low_side.name]
    return hashlib.sha256(" ".join([*contents, *recipe]).encode()).hexdigest()


def _streamed_splits(config: SuperResolutionConfig, sources: Sources, low_side: LowSide, cache: PictureCache) -> Splits:
    """Patches that are decoded when they are needed; the validation pictures are kept in memory.

    Raises:
        DataError: nothing to train on, or pairs that do not fit.
    """
    refuse(sources.problems, "pictures do not pair")
    assert config.data is not None, "the run checks that --data was given"
    known = identities([source.high for source in sources.train], config.data)
    numbers = dict(zip(known, sources.train, strict=True))
    train, validation = list(sources.train), list(sources.validation)
    if config.validation is not None:
        given = find_sources(config.validation, config.scale)
        validation = [*given.train, *given.validation]
    elif not validation:
        held_out = hold_out(list(numbers))
        validation = [source for number, source in numbers.items() if number in held_out]
        train = [source for number, source in numbers.items() if number not in held_out]
    found, errors = cache.load("decoding pictures", validation, lambda source: decoded(source, low_side))
    pairs, notes = _measurable(found, config.scale), [f"skipped  {error}" for error in errors]
    if not pairs:
        raise DataError(
            "\n  ".join([f"{sources.name}: no picture can be validated on; give some with --validation", *notes])
        )
    notes.append(
        f"{sources.name}: {len(train)} pictures to train on, decoded each time they are needed, {len(pairs)} to "
        f"validate on ({few([Path(pair.name) for pair in pairs])})"
    )
    lows = identities([source.low for source in train if source.low is not None], config.data)
    contents = _fingerprint([*identities([source.high for source in train], config.data), *lows], low_side)
    load = functools.partial(decoded, low_side=low_side, targets=config.makes_low)
    if config.makes_low:
        data: Dataset[Batch] = Targets(train, target_cut(config, low_side), load)
    else:
        data = Patches(train, config.patch, config.scale, config.channel_shuffle, load)
    return Splits(PassingOver(data), pairs, tuple(notes), contents)


def load_folder(folder: Path, low_side: LowSide, cache: PictureCache) -> tuple[list[Pair], list[str]]:
    """All pictures of a folder, for evaluation.

    Raises:
        DataError: none can be used, or pairs that do not fit.
    """
    sources = find_sources(folder, low_side.scale)
    pairs, notes = load_pairs(sources, (*sources.train, *sources.validation), low_side, cache)
    usable = _measurable(pairs, low_side.scale)
    if not usable:
        raise DataError("\n  ".join([f"{folder}: no picture can be measured", *notes]))
    return usable, notes


def _measurable(pairs: Sequence[Pair], scale: int) -> list[Pair]:
    """Pictures large enough for the metrics' border crop and window."""
    return [pair for pair in pairs if min(pair.high.shape[:2]) > max(2 * scale + 11, 32)]
