"""Mode coverage of a known mixture (Metz et al. 2017; Srivastava et al. 2017; Lin et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from advtasks.evaluation.intervals import Estimate, difference_interval


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


@dataclass(frozen=True)
class ClassCoverage:
    """Which of the classes that a classifier reads were made, and how evenly."""

    classes: int
    """Seen at least once."""
    divergence: Estimate
    """KL divergence of their histogram from the reference, in nats; classes that the reference lacks count as one of
    its samples. The interval is that of sampling both sides, to first order, about the divergence of so many: of one
    law it is about K / 2 (1/N + 1/M) and not 0."""


def class_coverage(found: Tensor, classes: int, reference: Tensor | None = None) -> ClassCoverage:
    """Of class numbers (N,) that a classifier read off generated pictures (Che et al. 2017; Metz et al. 2017).

    For stacked digits (three digits as the channels of one picture, 1000 modes: Metz et al. 2017, section 3.3.1)
    `found` is ``100 a + 10 b + c``, see :func:`stacked`.

    Args:
        reference: class numbers (M,) of real pictures; without them every class is as likely.
    """
    counts = torch.bincount(found, minlength=classes).double()
    wanted = torch.ones(classes).double()
    if reference is not None:
        wanted = torch.bincount(reference, minlength=classes).double().clamp_min(1)
    ratio = counts / counts.sum() / (wanted / wanted.sum())
    surprise = ratio[found].log()
    known = torch.zeros(2) if reference is None else ratio[reference] - ratio[reference].mean()
    return ClassCoverage(int((counts > 0).sum()), difference_interval(surprise, known))


def stacked(digits: Tensor) -> Tensor:
    """(N, 3) digits of the three channels to (N,) modes 0 to 999."""
    return digits[:, 0] * 100 + digits[:, 1] * 10 + digits[:, 2]
