"""Training crops and validation pairs out of the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from advtasks.data.cache import PictureCache
from advtasks.data.listing import few, refuse
from advtasks.data.splits import without_validated
from advtasks.data.streamed import PassingOver, identities
from advtasks.errors import DataError, UsageError
from advtasks.task import Splits
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.crops import Crops, Loaded, Values, fitted, padded
from advtasks_pix2pix.holding_out import held_out_pairs
from advtasks_pix2pix.label_maps import LabelError
from advtasks_pix2pix.layouts import find_pairs
from advtasks_pix2pix.makers import made_pixels
from advtasks_pix2pix.pairing import Pair, Pairs, Side
from advtasks_pix2pix.pixels import Pixels
from advtasks_pix2pix.reading import read_side, survey

T = TypeVar("T")
_LEAST = 12
"""Pixels of a side that the metrics' window needs."""


@dataclass(frozen=True)
class Sides:
    """What inputs and targets are."""

    input: Pixels
    target: Pixels


def find_sides(config: TranslationConfig) -> Sides:
    """As the configuration states them, or as the data are.

    Raises:
        DataError: nothing is recognised, or label maps that are none.
        UsageError: neither is given.
    """
    if config.input_pixels:
        return Sides(*(Pixels.of(json.loads(text)) for text in (config.input_pixels, config.target_pixels)))
    if config.data is None:
        raise UsageError("--data is missing: the folder of pictures to train on")
    pairs = pairs_of(config.data, config)
    every, folder = pairs.every(), config.data
    how = (folder, config.classes, config.keep_alpha, config.ignore_label)
    target = survey([p.target for p in every], config.target_kind, *how)
    if config.make_input != "none":
        return Sides(made_pixels(config.make_input), _of_makers(target, folder))
    inputs = [p.input for p in every if p.input is not None]
    return Sides(survey(inputs, config.input_kind, *how), target)


def _of_makers(target: Pixels, folder: Path) -> Pixels:
    """As makers take targets: RGB, of any depth; grey is repeated, numbers of classes are grey values.

    Raises:
        UsageError: TIFF of other channels.
    """
    if target.kind == "labels":
        return Pixels()
    if target.channels == 1 or (target.channels == 4 and not target.measured):
        return replace(target, channels=3, paged=False)
    if target.channels != 3:
        raise UsageError(
            f"{folder}: --make-input makes inputs of grey or RGB pictures, and these have {target.channels} channels: "
            "give inputs of their own (folders A and B), or keep the three channels that are colours"
        )
    return target


def pairs_of(folder: Path, config: TranslationConfig) -> Pairs:
    """The pairs of a folder, by the configuration's direction and layout.

    Raises:
        DataError: nothing is recognised.
    """
    return find_pairs(folder, config.layout, config.make_input != "none", config.direction)


def make_splits(config: TranslationConfig, sides: Sides, cache: PictureCache) -> Splits:
    """Crops to train on, whole pairs to validate on.

    Raises:
        DataError: nothing to train on, or files that do not pair.
    """
    assert config.data is not None, "the run checks that --data was given"
    pairs = pairs_of(config.data, config)
    refuse(pairs.problems, "files do not pair")
    notes = []
    if pairs.ignored:
        notes.append(f"ignored  {len(pairs.ignored)} other files: {few(pairs.ignored)}")
    reader, streamed = _Reader(config, sides, cache), not cache.keeps
    if streamed:  # decoded when they are needed
        train = list(zip(_identities(pairs.train, config.data), pairs.train, strict=True))
    else:
        train = _read(reader.identified, pairs.train, reader, cache, notes)
    train, validation = _divided(train, pairs, reader, notes)
    if not train:
        raise DataError("\n  ".join([f"{config.data}: nothing is left to train on", *notes]))
    validation = _with_classes(validation, sides, notes)
    if not validation:
        raise DataError("\n  ".join([f"{config.data}: nothing is left to validate on", *notes]))
    notes += reader.padded_note()
    names = [Path(pair.name) for pair in validation]
    notes.append(f"{pairs.name}: {pairs.explanation}")
    how = ", decoded each time they are needed" * streamed
    notes.append(f"pairs: {len(train)} to train on{how}, {len(validation)} to validate on ({few(names)})")
    notes.append(f"input: {sides.input.described}; target: {sides.target.described}")
    contents = hashlib.sha256(" ".join([*(content for content, _ in train), reader.recipe]).encode()).hexdigest()
    crops = Crops([pair for _, pair in train], reader.for_training, config.crop, config.flip)
    return Splits(PassingOver(crops), validation, tuple(notes), contents)


def _divided(
    train: list[tuple[str, Pair]], pairs: Pairs, reader: _Reader, notes: list[str]
) -> tuple[list[tuple[str, Pair]], list[Loaded]]:
    """What is left to train on, and what to validate on: given, of the folder, or held out."""
    config, cache, given = reader.config, reader.cache, False
    validation: list[Loaded] = []
    chosen = pairs.validation or pairs.test
    if config.validation is not None:
        validation, more = load_folder(config.validation, config, reader.sides, cache)
        given = True
        notes += more
    elif chosen:
        given, validation = True, _read(reader.whole, chosen, reader, cache, notes)
    if validation:
        if cache.keeps:
            contents = {pair.content for pair in validation}
            return without_validated(train, lambda item: item[0], contents, notes), validation
        if config.validation is not None:
            chosen = _measured(pairs_of(config.validation, config))
        places = {_place(pair) for pair in chosen}  # contents are not known
        return without_validated(train, lambda item: _place(item[1]), places, notes), validation
    if given:
        notes.append("warning: none of the pairs to validate on can be used; some of the training pairs are")
    held_out = held_out_pairs([content for content, _ in train if content not in reader.void])
    kept = [(content, pair) for content, pair in train if content in held_out]
    train = [(content, pair) for content, pair in train if content not in held_out]
    if not kept and train:
        kept = train
        notes.append("warning: too few pairs to hold any out; validation measures what is trained on")
    validation = _read(reader.whole, [pair for _, pair in kept], reader, cache, notes)
    while not any(_has_classes(pair, reader.sides) for pair in validation):  # which streamed data did not tell before
        held_out = held_out_pairs([content for content, _ in train])
        kept = [(content, pair) for content, pair in train if content in held_out]
        if not kept:
            break
        train = [(content, pair) for content, pair in train if content not in held_out]
        validation += _read(reader.whole, [pair for _, pair in kept], reader, cache, notes)
    return train, validation


def _measured(pairs: Pairs) -> tuple[Pair, ...]:
    return pairs.validation or pairs.test or pairs.train


def _place(pair: Pair) -> str:
    """Where its files are, links followed."""
    sides = (side for side in (pair.input, pair.target) if side is not None)
    return "\n".join(f"{os.path.realpath(side.path)} {side.half or ''}" for side in sides)


def _identities(pairs: Sequence[Pair], folder: Path) -> list[str]:
    """A number for each pair without reading it."""
    targets = identities([pair.target.path for pair in pairs], folder)
    inputs = iter(identities([pair.input.path for pair in pairs if pair.input is not None], folder))
    return [one if pair.input is None else f"{one}+{next(inputs)}" for one, pair in zip(targets, pairs, strict=True)]


def load_folder(
    folder: Path, config: TranslationConfig, sides: Sides, cache: PictureCache
) -> tuple[list[Loaded], list[str]]:
    """The pairs of a folder, whole, for evaluation: those for validation, or for a test, where it divides them.

    Raises:
        DataError: none can be used, or files that do not pair.
    """
    pairs = pairs_of(folder, config)
    refuse(pairs.problems, "files do not pair")
    notes: list[str] = []
    reader = _Reader(config, sides, cache)
    found = _read(reader.whole, _measured(pairs), reader, cache, notes)
    usable = _with_classes(found, sides, notes)
    notes += reader.padded_note()
    if not usable:
        raise DataError("\n  ".join([f"{folder}: no pair can be measured", *notes]))
    return usable, notes


class _Reader:
    """Reads pairs at the sizes that a run wants; decoded once where there is a cache."""

    def __init__(self, config: TranslationConfig, sides: Sides, cache: PictureCache) -> None:
        self.config, self.sides, self.cache = config, sides, cache
        self.misfits: list[str] = []
        self.small: list[str] = []
        self.void: set[str] = set()
        """Contents of pairs whose target has no pixel of any class."""
        what = repr((asdict(sides.input), asdict(sides.target), config.load))
        self.recipe = hashlib.sha256(what.encode()).hexdigest()

    def identified(self, pair: Pair) -> tuple[str, Pair]:
        """The pair with a fingerprint of its contents; decoded, so that what is wrong is found before training."""
        loaded = self.for_training(pair)
        if not _has_classes(loaded, self.sides):
            self.void.add(loaded.content)
        return loaded.content, pair

    def for_training(self, pair: Pair) -> Loaded:
        """At the size that crops are cut from."""
        return self._loaded(pair, self.config.load or self.config.crop, only_enlarge=not self.config.load)

    def whole(self, pair: Pair) -> Loaded:
        """At the size that is measured; mirrored at its edges where it is too small for that."""
        loaded = self._loaded(pair, self.config.crop if self.config.load else 0, only_enlarge=False)
        if min(loaded.target.shape[:2]) >= _LEAST:
            return loaded
        self.small.append(pair.target.path.name)
        values = None if loaded.input is None else padded(loaded.input, _LEAST)
        return replace(loaded, input=values, target=padded(loaded.target, _LEAST))

    def padded_note(self) -> list[str]:
        """What was done to pictures that are too small to be measured."""
        if not self.small:
            return []
        names = few([Path(name) for name in sorted(self.small)])
        return [f"padded   {len(self.small)} smaller than {_LEAST} pixels, by reflection, to measure them: {names}"]

    def _loaded(self, pair: Pair, size: int, only_enlarge: bool) -> Loaded:
        target, content = self._values(pair.target, self.sides.target, size, only_enlarge)
        if pair.input is None:
            return Loaded(pair.name, content, None, target)
        values, own = self._values(pair.input, self.sides.input, size, only_enlarge)
        if values.shape[:2] != target.shape[:2]:
            raise DataError(f"{pair.input.path} and {pair.target.path}: not of one size once decoded")
        return Loaded(pair.name, f"{content}+{own}", values, target)

    def _values(self, side: Side, pixels: Pixels, size: int, only_enlarge: bool) -> tuple[Values, str]:
        labels = pixels.kind == "labels"

        def read() -> Values:
            try:
                values = read_side(side, pixels)
            except LabelError as error:
                self.misfits.append(str(error))
                raise
            return fitted(values, size, labels, only_enlarge) if size else values

        kind = f"{pixels.kind}{pixels.classes or pixels.channels}d{pixels.depth}{'p' * pixels.paged}"
        if pixels.ignored is not None:
            kind += f"i{pixels.ignored}"
        recipe = f"{kind}{side.half or ''}s{size}{'up' if only_enlarge else ''}"
        content, values = self.cache.of(side.path, recipe, lambda: np.ascontiguousarray(read()))
        return values, content


def _read(
    how: Callable[[Pair], T], pairs: Sequence[Pair], reader: _Reader, cache: PictureCache, notes: list[str]
) -> list[T]:
    """What can be read; broken files are noted and passed over, label maps that are wrong are not."""
    found, errors = cache.load("decoding pictures", pairs, how)
    refuse(sorted(reader.misfits), "label maps cannot be used (correct them, or see --classes and --ignore-label)", "")
    notes += [f"skipped  {error}" for error in errors]
    return found


def _with_classes(pairs: Sequence[Loaded], sides: Sides, notes: list[str]) -> list[Loaded]:
    """Without targets of which no pixel is of a class: there is nothing to measure."""
    found = [pair for pair in pairs if _has_classes(pair, sides)]
    if empty := [Path(pair.name) for pair in pairs if not _has_classes(pair, sides)]:
        notes.append(f"skipped  {len(empty)} without a pixel of any class: {few(empty)}")
    return found


def _has_classes(pair: Loaded, sides: Sides) -> bool:
    return sides.target.ignored is None or bool((pair.target != sides.target.ignored).any())
