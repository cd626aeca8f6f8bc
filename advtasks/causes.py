"""What the errors of the system and of other libraries say. Imports no torch."""

from __future__ import annotations

_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate",
    "bad_alloc",
    "status_alloc_failed",  # cuBLAS and cuDNN
    "unable to find an engine",  # cuDNN, where no algorithm's workspace fits
)


def said(error: BaseException, most: int = 200) -> str:
    """The first line of what an error says, and after a heading the second, in at most `most` characters: the system's
    own words where it has some, the error's name where it says nothing."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    first, *more = (line.strip() for line in str(text).splitlines())
    return (f"{first} {more[0]}" if more and first.endswith(":") else first)[:most]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory. On a GPU torch has an error for it; on a CPU it raises a plain RuntimeError,
    worded by the system."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def is_of_the_device(error: BaseException) -> bool:
    """Whether a GPU or one of its libraries failed, and not what it was asked to compute."""
    return any(words in str(error) for words in ("CUDA error", "CUDNN_STATUS", "cuDNN error", "CUBLAS_STATUS"))
