"""Colour as grey, for losses and networks of one channel."""

from __future__ import annotations

from torch import Tensor

from advtasks.transfers import constant

_WEIGHTS = (0.299, 0.587, 0.114)


def greyscale(pictures: Tensor) -> Tensor:
    """RGB (..., 3, H, W) to (..., 1, H, W): 0.299 R + 0.587 G + 0.114 B (BT.601), as picture files are made grey."""
    return (pictures * constant(_WEIGHTS, pictures)[:, None, None]).sum(-3, keepdim=True)
