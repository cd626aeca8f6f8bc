"""Mixtures of Gaussians in the plane, and how they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """Equally likely round Gaussians: centers (K, 2), and their common standard deviation."""

    centers: Tensor
    sigma: float

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points (count, 2), and the modes (count,) that they come from."""
        modes = torch.randint(len(self.centers), (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator)
        return self.centers[modes] + self.sigma * noise, modes


def ring() -> Mixture:
    """8 modes on the unit circle, sigma 0.01."""
    angles = torch.arange(8) * (2 * math.pi / 8)
    return Mixture(torch.stack((angles.cos(), angles.sin()), 1), 0.01)


def grid() -> Mixture:
    """25 modes at (-4 + 2i, -4 + 2j), sigma 0.05."""
    places = torch.arange(-4.0, 5.0, 2.0)
    return Mixture(torch.cartesian_prod(places, places), 0.05)


MIXTURES = {"ring": ring, "grid": grid}


def scatter(points: Tensor, mixture: Mixture, side: int = 384) -> Tensor:
    """A picture (3, side, side) in [0, 1]: points in dark blue, rings of 3 sigma around the modes in orange."""
    reach = 1.25 * mixture.centers.abs().max().item()
    places = (torch.arange(side) + 0.5) / side * 2 * reach - reach
    y, x = torch.meshgrid(-places, places, indexing="ij")
    picture = torch.ones(3, side, side)
    pixel = 2 * reach / side
    for center in mixture.centers:
        distance = ((x - center[0]).square() + (y - center[1]).square()).sqrt()
        radius = max(3 * mixture.sigma, 4 * pixel)
        picture[:, (distance - radius).abs() < 0.7 * pixel] = torch.tensor([0.95, 0.55, 0.15])[:, None]
    column = ((points[:, 0] + reach) / pixel).long()
    row = ((reach - points[:, 1]) / pixel).long()
    inside = (column > 0) & (column < side - 1) & (row > 0) & (row < side - 1)
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        picture[:, row[inside] + down, column[inside] + right] = torch.tensor([0.1, 0.2, 0.55])[:, None]
    return picture
