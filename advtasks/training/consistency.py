"""Do all ranks hold the same weights? Looked at before each checkpoint, which the first rank writes for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from advtasks.distributed import is_share, world_size
from advtasks.errors import TrainingError
from advtasks.process_group import gathered

_COMPARED = ("generator", "ema", "adversaries", "stage")


def check_ranks_agree(state: dict[str, Any], step: int) -> None:
    """Compare the networks, buffers and optimisers of a checkpoint's state over ranks, bit for bit.

    Raises:
        TrainingError: they differ; the first tensor that does is named.
    """
    if world_size() == 1:
        return
    mine = {name: _digest(tensor) for name, tensor in _tensors({key: state[key] for key in _COMPARED})}
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


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor) and not is_share(value):  # shares differ
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))


def _digest(tensor: Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.blake2b(plain.numpy().tobytes(), digest_size=16).hexdigest()
