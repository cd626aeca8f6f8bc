"""How much memory a network needs for a pixel, counted on a run without values."""

from __future__ import annotations

import copy
import os
import weakref
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

UNKNOWN = 16_384
"""Bytes an input pixel where a network cannot be run without values."""
MARGIN = 1.5
"""What allocators and libraries take beyond the tensors themselves (up to 1.7 times was measured for small networks,
less than was counted for large ones)."""
_PROBE = 64
_SHARE = 0.5
"""Of the free memory that is used where no limit is given."""
_OF_LIMIT = 0.75
"""Of what a limit leaves: decoding, encoding and resizing need memory too."""
_CONTROL_GROUP = Path("/sys/fs/cgroup")


class _Live(TorchDispatchMode):
    """Follows how many bytes of tensors are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        # a library may hold its own copy of an operation's inputs, in another layout, as long as it computes
        copies = sum(leaf.untyped_storage().nbytes() for leaf in tree_leaves(args) if isinstance(leaf, Tensor))
        self.peak = max(self.peak, self.now + copies)
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        identity = storage._cdata
        if identity in self.known:
            return
        self.known.add(identity)
        size = storage.nbytes()
        self.now += size

        def gone() -> None:
            self.known.discard(identity)
            self.now -= size

        weakref.finalize(storage, gone)


def bytes_per_pixel(network: nn.Module, channels: int = 3, multiple_of: int = 1) -> int:
    """Memory that a forward pass in float32 takes at its peak, for each input pixel of a large picture.

    It is counted on torch's meta device, where operations have shapes but no values: no time, no memory.
    """
    try:
        with torch.device("meta"):
            double = copy.deepcopy(network).to("meta").float().eval()
        large, small = (_peak(double, channels, -(-side // multiple_of) * multiple_of) for side in (2 * _PROBE, _PROBE))
        pixels = [(-(-side // multiple_of) * multiple_of) ** 2 for side in (2 * _PROBE, _PROBE)]
    except Exception:  # operations that need values: the guess below is on the careful side
        return UNKNOWN
    return max(1, (large - small) // (pixels[0] - pixels[1]))


def _peak(network: nn.Module, channels: int, side: int) -> int:
    with torch.inference_mode(), _Live() as live:
        network(torch.empty(1, channels, side, side, device="meta"))
    return live.peak


def resident() -> int:
    """Bytes of this process in memory."""
    return int(psutil.Process().memory_info().rss)


def available(device: torch.device, limit: int | None = None) -> int:
    """Bytes that tiles may take: what `limit` leaves of this process, or a share of what is free."""
    if device.type == "cuda" and limit is None:
        return int(torch.cuda.mem_get_info(device)[0] * _SHARE)
    if limit is not None:
        return int(max(limit - resident(), 0) * _OF_LIMIT)
    return int(min(psutil.virtual_memory().available, _left_in_group()) * _SHARE)


def _left_in_group() -> int:
    """What the control group of a container leaves (cgroup v2)."""
    try:
        most = (_CONTROL_GROUP / "memory.max").read_text().strip()
        return int(most) - int((_CONTROL_GROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**40
