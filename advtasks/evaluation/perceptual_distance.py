"""A perceptual distance that bears the name of its backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.features import FeatureNetwork
from advtasks.features.distance import unit_distance


class PerceptualDistance(nn.Module):
    """:func:`advtasks.features.distance.unit_distance` on the features of a frozen network.

    It is not LPIPS: that name belongs to the literature's networks and weights. Compare only values of the same
    backbone.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network

    @torch.no_grad()
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N,) distances of RGB pictures (N, 3, H, W) in [0, 1]; 0 for equal ones, lower is better."""
        return unit_distance(self.network(output.clamp(0, 1)), self.network(target))
