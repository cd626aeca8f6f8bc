"""Where two-byte numbers are too narrow: squares leave the range of float16, and small constants are 0 in it."""

from __future__ import annotations

from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32; everything else as it is."""
    return x.float() if x.is_floating_point() and x.element_size() < 4 else x
