"""Small tensors from the host to where they are needed, without the host waiting for a GPU."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def constant(values: Any, like: Tensor) -> Tensor:
    """The tensor of `values`, numbers in nested tuples, in the precision and on the device of `like`.

    It is copied there once and shared between calls: never change it in place.
    """
    # what a tracer sees is no tensor to keep
    make = _made.__wrapped__ if torch.compiler.is_compiling() else _made
    return make(values, like.dtype, like.device)


@functools.lru_cache(maxsize=256)
def _made(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a constant of inference could not be saved for a backward pass
        return torch.tensor(values, dtype=dtype).to(device, non_blocking=True)


def places(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Indices (N,) on `device`; indexing with a list would wait while it is copied there."""
    return torch.tensor(numbers, dtype=torch.long).to(device, non_blocking=True)
