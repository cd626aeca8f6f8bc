"""Do all ranks hold the same data and the same weights? Looked at before training, and before each checkpoint, which
the first rank writes for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from advtasks.distributed import is_share, world_size
from advtasks.errors import DataError, TrainingError
from advtasks.process_group import gathered
from advtasks.task import Splits

_COMPARED = ("generator", "ema", "adversaries", "stage")


def check_ranks_agree(state: dict[str, Any], step: int) -> None:
    """Compare the networks, buffers and optimisers of a checkpoint's state over ranks, bit for bit: tensors, numbers
    and texts.

    Raises:
        TrainingError: they differ; the first value that does is named.
    """
    if world_size() == 1:
        return
    mine = dict(_digests({key: state[key] for key in _COMPARED}))
    whole = hashlib.blake2b(repr(mine).encode(), digest_size=16).hexdigest()
    if len(set(gathered(whole, patient=False))) == 1:
        return
    everyone = gathered(mine, patient=False)
    name = next(name for name in mine if len({theirs.get(name) for theirs in everyone}) > 1)
    raise TrainingError(
        f"step {step}: the ranks have drifted apart, first in {name}. No checkpoint was written; the last one is "
        "whole. All ranks must run the same versions on the same kind of processor, and a plugin's task must draw "
        "random rows by advtasks.distributed.draw_rows"
    )


def check_same_data(splits: Splits) -> None:
    """Compare what ranks train on and validate on: each draws its part of one order of all items.

    Raises:
        DataError: they differ, as where hosts have copies of their own.
    """
    first, *others = gathered((len(splits.train), len(splits.validation), splits.fingerprint))  # type: ignore[arg-type]
    for number, theirs in enumerate(others, start=1):
        if theirs == first:
            continue
        what = f"{theirs[0]} items to train on and {theirs[1]} to validate on, the first one {first[0]} and {first[1]}"
        if theirs[:2] == first[:2]:
            what = f"as many items as the first one ({first[0]} and {first[1]}), but not the same"
        raise DataError(
            f"process {number} finds {what}: all hosts need the same files under the same names (a file that was "
            "skipped is named where that process writes), and where something is learned from them beforehand, such as "
            "a text encoder, one --cache for all"
        )


def _digests(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Of each value in nested dicts and lists, by its dotted name."""
    if isinstance(value, (dict, list, tuple)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _digests(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (int, float, str, type(None))):  # what a plugin keeps besides may show its address
        yield name, repr(value)
    elif isinstance(value, Tensor) and not is_share(value):  # shares differ
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        yield name, hashlib.blake2b(plain.numpy().tobytes(), digest_size=16).hexdigest()
