"""How much memory a network needs for a pixel, counted on small runs."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from advtasks.allocator import give_back_freed_memory

UNKNOWN = 16_384
"""Bytes an input pixel that are assumed of a network that is not torch's."""
MARGIN = 1.5
"""What allocators and libraries take beyond the tensors themselves (up to 1.7 times was measured for small networks,
less than was counted for large ones)."""
_PROBE = 16
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

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch's compiler is imported, which takes a second

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
    """Memory that a forward pass in float32 takes at its peak, for each input pixel of a large picture: the difference
    between two small ones. (torch's meta device would need no small ones, but a second and 70 MB to be imported.)"""
    small = -(-_PROBE // multiple_of) * multiple_of
    return max(1, (_peak(network, channels, 2 * small) - _peak(network, channels, small)) // (3 * small**2))


def _peak(network: nn.Module, channels: int, side: int) -> int:
    parameter = next(network.parameters(), None)
    if parameter is None:  # not a network of torch's: its tensors are not seen
        return UNKNOWN * side**2
    with torch.inference_mode(), _Live() as live:
        network(torch.zeros(1, channels, side, side, device=parameter.device, dtype=parameter.dtype))
    return live.peak


def resident() -> int:
    """Bytes of this process in memory."""
    return int(psutil.Process().memory_info().rss)


def available(device: torch.device, limit: int | None = None) -> int:
    """Bytes that tiles may take: a share of what is free on a GPU; of the machine's memory what `limit` leaves of this
    process, or a share of what is free."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # for this process to use again
        return int((torch.cuda.mem_get_info(device)[0] + kept) * _SHARE)
    if limit is not None:
        give_back_freed_memory()
        return int(max(limit - resident(), 0) * _OF_LIMIT)
    return int(min(psutil.virtual_memory().available, left_in_group(_CONTROL_GROUP)) * _SHARE)


def left_in_group(folder: Path) -> int:
    """Bytes that the control group of a container leaves (cgroup v2). The kernel counts pages of files that were read
    as used, but gives them up before it lets anything fail for lack of memory."""
    try:
        most, used = (int((folder / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(most - used + int(stat["inactive_file"]), 0)
    except (OSError, ValueError, KeyError):  # no group, or one without a limit
        return psutil.virtual_memory().total
