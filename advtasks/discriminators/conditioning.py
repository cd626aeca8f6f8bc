"""How critics join a picture and its condition."""

from __future__ import annotations

import torch
from torch import Tensor


def join(picture: Tensor, condition: Tensor | None) -> Tensor:
    """Concatenate by channels (Mirza & Osindero 2014), and move [0, 1] to [-1, 1]."""
    joined = picture if condition is None else torch.cat((picture, condition), dim=1)
    return joined * 2 - 1
