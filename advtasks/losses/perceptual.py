"""Perceptual loss: distance between the features of a frozen network (Johnson et al. 2016, eq. 2)."""

from __future__ import annotations

from torch import Tensor, nn

from advtasks.features import FeatureNetwork


class PerceptualLoss(nn.Module):
    """Mean over the network's layers of the mean absolute difference of unit-scaled features.

    Each layer is divided by the mean absolute value of the target's features, so that layers of any network weigh
    alike; the scale carries no gradient. Equal pictures give 0.

    Args:
        network: a frozen :class:`advtasks.features.FeatureNetwork`, which takes RGB pictures in [0, 1].
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance, a scalar; `output` and `target` (N, 3, H, W) in [0, 1]. Gradients reach `output` only."""
        wanted = [feature.detach() for feature in self.network(target.detach())]
        found = self.network(output)
        parts = [
            (one - other).abs().mean() / other.abs().mean().clamp_min(1e-6)
            for one, other in zip(found, wanted, strict=True)
        ]
        result: Tensor = sum(parts[1:], parts[0]) / len(parts)
        return result
