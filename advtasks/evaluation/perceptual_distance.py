"""A perceptual distance that bears the name of its backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.features import FeatureNetwork


class PerceptualDistance(nn.Module):
    """Squared distance of unit-length features, averaged over positions, summed over layers.

    The form of LPIPS (Zhang et al. 2018, eq. 1) with all weights 1. It is not LPIPS: that name belongs to the
    literature's networks and weights. Compare only values of the same backbone.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network

    @torch.no_grad()
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N,) distances of RGB pictures (N, 3, H, W) in [0, 1]; 0 for equal ones, lower is better."""
        distance = torch.zeros(output.shape[0], device=output.device)
        for one, other in zip(self.network(output.clamp(0, 1)), self.network(target), strict=True):
            one = one / (one.norm(dim=1, keepdim=True) + 1e-10)
            other = other / (other.norm(dim=1, keepdim=True) + 1e-10)
            distance = distance + (one - other).square().sum(1).mean(dim=(1, 2))
        return distance
