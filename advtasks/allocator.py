"""The C library's memory allocator, told that a process computes with large tensors."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep what is freed for the next tensor; gives whether that could be set (glibc on Linux).

    glibc returns blocks of 32 MiB and more to the system as soon as they are freed, and the system clears every page
    when the next one is taken: a third of the time of a forward pass over a large picture, a tenth of a training step.
    For programs, not for libraries: the commands call it, and somebody's own script may.
    """
    libc = _glibc()
    if libc is None:
        return False
    return bool(libc.mallopt(_MMAP_THRESHOLD, _LARGEST) and libc.mallopt(_TRIM_THRESHOLD, _LARGEST))


def give_back_freed_memory() -> None:
    """Return to the system what was kept, so that what is resident is what is used."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
