"""Perceptual loss: distance between the features of a frozen network (Johnson et al. 2016, eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from advtasks.errors import UsageError
from advtasks.features import FeatureNetwork
from advtasks.features.distance import unit_distance

Form = Literal["unit", "l1"]


class PerceptualLoss(nn.Module):
    """Distance of features, mean over the batch; equal pictures give 0.

    Args:
        network: a frozen :class:`advtasks.features.FeatureNetwork`, which takes RGB pictures in [0, 1].
        form: ``unit``: :func:`advtasks.features.distance.unit_distance`, in which layers of any network weigh alike;
            ``l1``: mean absolute difference of the plain features (ESRGAN: Wang et al. 2018, section 3.3).
        weights: one for each layer of the network, shallow to deep: ``Σ_i w_i d_i``, as Real-ESRGAN's 0.1, 0.1, 1, 1,
            1 on five layers of VGG19 (Wang et al. 2021, section 4.1). Without them ``unit`` is the sum over layers,
            ``l1`` their mean.

    Raises:
        UsageError: a weight too many or too few, or a negative one.
    """

    def __init__(self, network: FeatureNetwork, form: Form = "unit", weights: Sequence[float] = ()) -> None:
        super().__init__()
        layers = network.layer_names
        if weights and layers and len(weights) != len(layers):
            raise UsageError(
                f"{len(weights)} layer weights for the {len(layers)} layers of {network.name} ({', '.join(layers)}); "
                "give one for each, shallow to deep"
            )
        if any(weight < 0 for weight in weights):
            raise UsageError(f"layer weights of a perceptual loss cannot be negative, got {tuple(weights)}")
        self.network = network
        self.form = form
        self.weights = tuple(weights)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance, a scalar; `output` and `target` (N, 3, H, W) in [0, 1]. Gradients reach `output` only."""
        with torch.no_grad():
            wanted = self.network(target)
        found = self.network(output)
        if self.form == "unit":
            return unit_distance(found, wanted, self.weights).mean()
        parts = [l1_loss(one.float(), other.float()) for one, other in zip(found, wanted, strict=True)]
        if not self.weights:
            return torch.stack(parts).mean()
        return torch.stack([weight * part for weight, part in zip(self.weights, parts, strict=True)]).sum()
