"""The distance that perceptual losses and metrics share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def _unit(feature: Tensor) -> Tensor:
    return feature / (feature.square().sum(1, keepdim=True) + 1e-10).sqrt()


def unit_distance(found: Sequence[Tensor], wanted: Sequence[Tensor], weights: Sequence[float] = ()) -> Tensor:
    """(N,) squared distances of features scaled to unit length at each position, averaged over positions, summed over
    layers: the form of LPIPS (Zhang et al. 2018, eq. 1) with one weight a layer, 1 unless given. Computed in float32.
    """
    parts = [
        (_unit(one.float()) - _unit(other.float())).square().sum(1).mean(dim=(1, 2))
        for one, other in zip(found, wanted, strict=True)
    ]
    if weights:
        parts = [weight * part for weight, part in zip(weights, parts, strict=True)]
    return torch.stack(parts).sum(0)
