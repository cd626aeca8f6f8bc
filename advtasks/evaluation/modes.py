"""Mode coverage of a known mixture (Metz et al. 2017; Srivastava et al. 2017; Lin et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ModeCoverage:
    """What a generator caught."""

    modes: float
    """Modes with at least one sample of high quality."""
    high_quality: float
    """Share of samples within 3 sigma of the nearest mode; in the plane a perfect sampler has 0.9889."""
    reverse_kl: float
    """KL divergence of the histogram of nearest modes from the uniform one, over the samples of high quality, in nats;
    infinite if there are none."""


def mode_coverage(samples: Tensor, centers: Tensor, sigma: float) -> ModeCoverage:
    """Count the modes that `samples` (N, D) catch of a mixture with `centers` (K, D) and one standard deviation."""
    distance, nearest = torch.cdist(samples.double(), centers.double()).min(1)
    good = distance <= 3 * sigma
    counts = torch.bincount(nearest[good], minlength=len(centers)).double()
    share = counts / counts.sum()
    divergence = torch.special.xlogy(share, share * len(centers)).sum().item() if good.any() else math.inf
    return ModeCoverage(float((counts > 0).sum()), good.double().mean().item(), divergence)
