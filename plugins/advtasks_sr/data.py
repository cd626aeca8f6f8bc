"""Training patches and validation pictures out of the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from advtasks.data.cache import Array, PictureCache
from advtasks.data.folder import hold_out
from advtasks.data.loader import Position
from advtasks.data.resize import downscale_rgb8
from advtasks.errors import DataError
from advtasks.task import Batch, Splits
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.layouts import Source, Sources, find_sources

# albumentations asks the network for updates when it is imported, unless told not to
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
from albumentations.augmentations.geometric.functional import d4
from albumentations.core.type_definitions import d4_group_elements

_MOST_NAMED = 8


@dataclass(frozen=True)
class Pair:
    """A picture at both resolutions, memory-mapped: (H, W, 3) and (H/scale, W/scale, 3) uint8."""

    name: str
    content: str
    high: Array
    low: Array
    low_content: str = ""
    """Of a low-resolution file; empty where it was made from the high resolution."""


class Patches(Dataset[Batch]):
    """Random aligned crops, each turned or mirrored in one of eight ways: ``low`` and ``high``, (H, W, 3) uint8.

    A share of them, `channel_shuffle`, also has its colour channels permuted.
    """

    def __init__(self, pairs: Sequence[Pair], patch: int, scale: int, channel_shuffle: float = 0.0) -> None:
        self.pairs, self.patch, self.scale, self.channel_shuffle = pairs, patch, scale, channel_shuffle

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: Position) -> Batch:
        pair = self.pairs[position.index]
        rng = np.random.default_rng(position.seed)
        top = int(rng.integers(pair.low.shape[0] - self.patch + 1))
        left = int(rng.integers(pair.low.shape[1] - self.patch + 1))
        low = pair.low[top : top + self.patch, left : left + self.patch]
        top, left, side = top * self.scale, left * self.scale, self.patch * self.scale
        high = pair.high[top : top + side, left : left + side]
        symmetry = d4_group_elements[rng.integers(len(d4_group_elements))]
        low, high = d4(low, symmetry), d4(high, symmetry)  # the transform alone: Compose costs 30 times as much
        if rng.random() < self.channel_shuffle:
            order = rng.permutation(3)
            low, high = low[..., order], high[..., order]
        return {"low": torch.from_numpy(np.array(low)), "high": torch.from_numpy(np.array(high))}


def load_pairs(
    sources: Sources, items: Sequence[Source], scale: int, cache: PictureCache
) -> tuple[list[Pair], list[str]]:
    """Decode (or find in the cache) the pictures of `items`; unreadable ones are named in the notes.

    Raises:
        DataError: pairs that do not fit, by name.
    """
    if sources.problems:
        listed = "\n  ".join(sources.problems[:_MOST_NAMED])
        more = len(sources.problems) - _MOST_NAMED
        raise DataError(
            f"{len(sources.problems)} pictures do not pair:\n  {listed}"
            + (f"\n  and {more} more; `advtasks data check DIR` lists all" if more > 0 else "")
        )

    def load(source: Source) -> Pair:
        content, high = cache.rgb8(source.high)
        if min(high.shape[:2]) < scale:
            raise DataError(f"{source.high}: {high.shape[1]}x{high.shape[0]} pixels, smaller than the scale {scale}")
        low_content = ""
        if source.low is None:
            low = cache.array(content, f"bicubic-x{scale}", lambda: downscale_rgb8(np.asarray(high), scale))
        else:
            low_content, low = cache.rgb8(source.low)
        height, width = (side * scale for side in low.shape[:2])
        return Pair(str(source.high), content, high[:height, :width], low, low_content)

    pairs, errors = cache.load("decoding pictures", items, load)
    return pairs, [f"skipped  {error}" for error in errors]


def make_splits(config: SuperResolutionConfig, cache: PictureCache) -> Splits:
    """Training patches and whole validation pictures.

    Raises:
        DataError: nothing to train on, or pairs that do not fit.
    """
    assert config.data is not None, "the run checks that --data was given"
    scale = config.scale
    sources = find_sources(config.data, scale)
    pairs, notes = load_pairs(sources, sources.train, scale, cache)
    if sources.ignored:
        notes.append(f"ignored  {len(sources.ignored)} other files: {_named(sources.ignored)}")
    small = [pair for pair in pairs if min(pair.low.shape[:2]) < config.patch]
    if small:
        side = config.patch * scale
        notes.append(
            f"skipped  {len(small)} pictures smaller than a patch of {side}x{side}: "
            f"{_named([Path(pair.name) for pair in small])}; a smaller --patch uses them"
        )
    train = [pair for pair in pairs if min(pair.low.shape[:2]) >= config.patch]
    if config.validation is not None:
        validation, more = load_folder(config.validation, scale, cache)
        notes += more
    elif sources.validation:
        validation, more = load_pairs(sources, sources.validation, scale, cache)
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
        raise DataError(f"{config.data}: no picture is large enough to validate on (more than 32 pixels a side)")
    notes.append(
        f"{sources.name}: {len(train)} pictures to train on, {len(validation)} to validate on "
        f"({_named([Path(pair.name) for pair in validation])})"
    )
    contents = hashlib.sha256(" ".join(pair.content + pair.low_content for pair in train).encode()).hexdigest()
    patches = Patches(train, config.patch, scale, config.channel_shuffle)
    return Splits(patches, validation, tuple(notes), contents)


def load_folder(folder: Path, scale: int, cache: PictureCache) -> tuple[list[Pair], list[str]]:
    """All pictures of a folder, for evaluation.

    Raises:
        DataError: none can be used, or pairs that do not fit.
    """
    sources = find_sources(folder, scale)
    pairs, notes = load_pairs(sources, (*sources.train, *sources.validation), scale, cache)
    usable = _measurable(pairs, scale)
    if not usable:
        raise DataError("\n  ".join([f"{folder}: no picture can be measured", *notes]))
    return usable, notes


def _measurable(pairs: Sequence[Pair], scale: int) -> list[Pair]:
    """Pictures large enough for the metrics' border crop and window."""
    return [pair for pair in pairs if min(pair.high.shape[:2]) > max(2 * scale + 11, 32)]


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_MOST_NAMED]) + (", ..." if len(paths) > _MOST_NAMED else "")
