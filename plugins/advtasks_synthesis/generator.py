"""The generator of points."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class PointGenerator(nn.Module):
    """Noise (N, latent), and class numbers (N,) if there are classes, to points (N, 2).

    Args:
        latent: dimension of the noise.
        width, layers: of the hidden part.
        classes: 0 for none.
        activation: of the hidden layers.
        reach: the points lie at about this scale.
    """

    def __init__(
        self,
        latent: int = 2,
        width: int = 128,
        layers: int = 3,
        classes: int = 0,
        activation: Literal["leaky-relu", "tanh"] = "leaky-relu",
        reach: float = 1.0,
    ) -> None:
        super().__init__()
        self.latent, self.classes, self.reach = latent, classes, reach
        act: dict[str, Callable[[], nn.Module]] = {"leaky-relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh}
        parts: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise([latent + classes, *[width] * layers]):
            parts += [nn.Linear(inputs, outputs), act[activation]()]
        self.layers = nn.Sequential(*parts, nn.Linear(width, 2))

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """The points."""
        if label is not None:
            noise = torch.cat((noise, one_hot(label, self.classes).to(noise)), dim=1)
        points: Tensor = self.layers(noise) * self.reach
        return points
