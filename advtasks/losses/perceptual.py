"""Perceptual loss: distance between the features of a frozen network (Johnson et al. 2016, eq. 2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from advtasks.features import FeatureNetwork
from advtasks.features.distance import unit_distance

Form = Literal["unit", "l1"]


class PerceptualLoss(nn.Module):
    """Distance of features, mean over the batch; equal pictures give 0.

    Args:
        network: a frozen :class:`advtasks.features.FeatureNetwork`, which takes RGB pictures in [0, 1].
        form: ``unit``: :func:`advtasks.features.distance.unit_distance`, in which layers of any network weigh alike;
            ``l1``: mean absolute difference of the plain features, mean over layers (ESRGAN: Wang et al. 2018, 3.3).
    """

    def __init__(self, network: FeatureNetwork, form: Form = "unit") -> None:
        super().__init__()
        self.network = network
        self.form = form

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance, a scalar; `output` and `target` (N, 3, H, W) in [0, 1]. Gradients reach `output` only."""
        with torch.no_grad():
            wanted = self.network(target)
        found = self.network(output)
        if self.form == "unit":
            return unit_distance(found, wanted).mean()
        parts = [l1_loss(one.float(), other.float()) for one, other in zip(found, wanted, strict=True)]
        return torch.stack(parts).mean()
