"""States of trainings, and other nested dicts of tensors, beside each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def difference(one: Any, other: Any, name: str = "state") -> str | None:
    """Where two states first differ in a bit, through dicts and lists, but for wall-clock times; None if nowhere."""
    if isinstance(one, Tensor):
        return None if torch.equal(one, other) else name
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return f"{name}: {sorted(map(str, one.keys() ^ other.keys()))}"
        pairs = [(f"{name}.{k}", v, other[k]) for k, v in one.items() if not str(k).startswith("seconds")]
    elif isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return f"{name}: {len(one)} and {len(other)}"
        pairs = [(f"{name}.{i}", left, right) for i, (left, right) in enumerate(zip(one, other, strict=True))]
    else:
        return None if one == other else f"{name}: {one} and {other}"
    return next((found for key, left, right in pairs if (found := difference(left, right, key)) is not None), None)


def tensors(state: dict[str, Any], name: str = "") -> dict[str, Tensor]:
    """All tensors by their dotted names."""
    found = {}
    for key, value in state.items():
        if isinstance(value, dict):
            found.update(tensors(value, f"{name}{key}."))
        elif isinstance(value, Tensor):
            found[f"{name}{key}"] = value
    return found
