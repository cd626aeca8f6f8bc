"""Where what is made of a batch on the device takes its random numbers from: the trainer's streams, or a seed.

Decisions (which kernel, which quality) are drawn on the host, where their use needs no waiting for the device; noise
is drawn on the device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from advtasks.distributed import draw_rows


class Draws:
    """The trainer's streams: numbers are functions of run seed and step, and a rank draws its rows of what one process
    would draw for the whole batch (:func:`advtasks.distributed.draw_rows`)."""

    def uniform(self, rows: int, *shape: int) -> Tensor:
        """(rows, \\*shape) in [0, 1) on the host, different for each row."""
        return draw_rows(torch.rand, rows, *shape)

    def normal(self, rows: int, *shape: int, device: torch.device) -> Tensor:
        """(rows, \\*shape), standard normal, on `device`."""
        return draw_rows(torch.randn, rows, *shape, device=device)

    def shared(self, count: int) -> list[float]:
        """`count` numbers in [0, 1) that all rows of all ranks share."""

        def same(rows: int, *shape: int, device: Any, generator: torch.Generator | None = None) -> Tensor:
            return torch.rand(1, *shape, device=device, generator=generator).expand(rows, *shape)

        found: list[float] = draw_rows(same, 1, count)[0].tolist()
        return found


class SeededDraws(Draws):
    """A stream of its own on the host, which is the same on every rank and touches no other."""

    def __init__(self, seed: int) -> None:
        self.stream = torch.Generator().manual_seed(seed)

    def uniform(self, rows: int, *shape: int) -> Tensor:
        return torch.rand(rows, *shape, generator=self.stream)

    def normal(self, rows: int, *shape: int, device: torch.device) -> Tensor:
        return torch.randn(rows, *shape, generator=self.stream).to(device)

    def shared(self, count: int) -> list[float]:
        found: list[float] = torch.rand(count, generator=self.stream).tolist()
        return found
