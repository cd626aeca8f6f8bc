"""Self-ensemble: the mean over the eight turned and mirrored versions of a tile (Timofte et al. 2016, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def over_turns(run: Callable[[Tensor], Tensor], tile: Tensor) -> Tensor:
    """The mean of what `run` makes of each version of a tile (N, C, h, w), turned back."""
    total = torch.zeros(())
    for turns in range(4):
        for mirrored in (False, True):
            given = torch.rot90(tile.flip(-1) if mirrored else tile, turns, (-2, -1))
            output = torch.rot90(run(given), -turns, (-2, -1))
            total = total.to(output) + (output.flip(-1) if mirrored else output)
    return total / 8
