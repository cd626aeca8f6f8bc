"""Sliced Wasserstein distances: of features, and of patches of Laplacian pyramids (Karras et al. 2018, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from advtasks.evaluation.intervals import Estimate, difference_interval

PATCH = 7
PYRAMID = 2
"""Counts changes of what :func:`pyramid_patches` gives, so that stored ones of another way are not taken."""
_TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def sliced_wasserstein(first: Tensor, second: Tensor, directions: int = 512, seed: int = 0) -> Estimate:
    """Mean over random directions of the 1-Wasserstein distance of the projections, in the unit of the samples.

    The interval is that of sampling both sides, about the distance of so many samples: of one law it is not 0, and
    falls with more samples. Where the laws hardly differ it is wider than it needs to be.

    Args:
        first: (N, d).
        second: (M, d); another number of samples is fine.
        directions: unit vectors, drawn uniformly.
    """
    return difference_interval(*_potentials(first, second, directions, seed))


def _potentials(first: Tensor, second: Tensor, directions: int, seed: int) -> tuple[Tensor, Tensor]:
    """(N,) and (M,): the mean over directions of Kantorovich's potentials, whose mean over the first less that over
    the second is the distance, and which say what each sample moves it. In one dimension a potential rises where the
    second side is ahead, by one a unit, and falls where the first is (``∫ |F - G| dx`` by parts)."""
    draws = torch.Generator().manual_seed(seed)
    axes = torch.randn(first.shape[1], directions, generator=draws, dtype=torch.float64)
    axes = axes / axes.norm(dim=0)
    both = torch.cat((first, second)).double()
    steps = torch.cat((torch.full((len(first),), len(second)), torch.full((len(second),), -len(first))))
    total = torch.zeros(len(both), dtype=torch.float64)
    for part in axes.split(32, dim=1):
        ordered, places = (both @ part).sort(0)
        ahead = steps[places].cumsum(0)[:-1].sign()  # in whole numbers: level means level
        heights = torch.zeros_like(ordered)
        heights[1:] = -(ahead * ordered.diff(dim=0)).cumsum(0)
        total += torch.zeros_like(heights).scatter_(0, places, heights).sum(1)
    one, other = (total / directions).split((len(first), len(second)))
    return one, other


def laplacian_pyramid(pictures: Tensor, levels: int) -> list[Tensor]:
    """What each level holds that the next, of half the side, does not; the last level holds the rest. Adding the
    levels up again, each enlarged by :func:`enlarged`, gives the pictures (N, C, H, W) back."""
    found = []
    for _ in range(levels - 1):
        smaller = _smoothed(pictures)[..., ::2, ::2]
        found.append(pictures - enlarged(smaller, pictures.shape[-2:]))
        pictures = smaller
    return [*found, pictures]


def enlarged(pictures: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """To (height, width), twice the size or one less: Burt & Adelson's EXPAND. Zeros between the pixels, and the same
    five taps four times as strong, so that each pixel stays where it was: bilinear enlarging would move it by half a
    pixel, and smooth slopes would leave detail."""
    spread = pictures.new_zeros((*pictures.shape[:2], *size))
    spread[..., ::2, ::2] = pictures
    return 4 * _smoothed(spread)


def _smoothed(pictures: Tensor) -> Tensor:
    """Burt & Adelson's (1983) five taps along both sides, edges mirrored."""
    channels = pictures.shape[1]
    taps = pictures.new_tensor(_TAPS)
    window = torch.outer(taps, taps).expand(channels, 1, -1, -1)
    return conv2d(pad(pictures, (2, 2, 2, 2), mode="reflect"), window, groups=channels)


def pyramid_patches(pictures: Tensor, seeds: Sequence[int], levels: int = 4, patches: int = 8) -> Tensor:
    """Patches of 7x7 pixels at random places, which for a picture depend on its seed alone.

    Args:
        pictures: (N, C, H, W), sides from 7 · 2^(levels - 1) pixels.
        seeds: one a picture.

    Returns:
        (N, levels, patches, C, 7, 7).
    """
    pyramid = [level.unfold(2, PATCH, 1).unfold(3, PATCH, 1) for level in laplacian_pyramid(pictures, levels)]
    found = []
    for number, seed in enumerate(seeds):
        draws = np.random.default_rng(seed)
        places = [draws.integers(level.shape[2:4], size=(patches, 2)) for level in pyramid]
        found.append(
            torch.stack(
                [
                    torch.stack([level[number, :, y, x] for y, x in place.tolist()])
                    for level, place in zip(pyramid, places, strict=True)
                ]
            )
        )
    return torch.stack(found)


@dataclass(frozen=True)
class PatchDistance:
    """How far the patches of two sets of pictures are from each other."""

    levels: tuple[float, ...]
    """Finest first."""
    mean: Estimate
    """Over the levels; the interval is that of sampling the pictures, all of whose patches count as one, with the
    channels' means and deviations as they are."""


def patch_distance(first: Tensor, second: Tensor, directions: int = 128, seed: int = 0) -> PatchDistance:
    """The sliced Wasserstein distance of each level's patches, a thousandfold, as the paper prints it; each side's
    channels are shifted and scaled to mean 0 and deviation 1 first, so it sees structure and not colour.

    Args:
        first: of :func:`pyramid_patches`; another number of pictures than `second` is fine.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for level in range(first.shape[1]):
        one, other = (_standardized(side[:, level].flatten(0, 1).double()) for side in (first, second))
        fakes, reals = _potentials(one, other, directions, seed + level)
        found.append((_by_picture(fakes, len(first)), _by_picture(reals, len(second))))
    levels = tuple((a.mean() - b.mean()).item() for a, b in found)
    fakes, reals = (torch.stack([pair[side] for pair in found]).mean(0) for side in (0, 1))
    return PatchDistance(levels, difference_interval(fakes, reals))


def _by_picture(potentials: Tensor, pictures: int) -> Tensor:
    return 1000 * potentials.unflatten(0, (pictures, -1)).mean(1)


def _standardized(patches: Tensor) -> Tensor:
    """(P, C, 7, 7) to (P, C · 49), each channel with mean 0 and deviation 1 over all patches."""
    mean = patches.mean((0, 2, 3), keepdim=True)
    deviation = patches.std((0, 2, 3), keepdim=True).clamp_min(1e-8)
    return ((patches - mean) / deviation).flatten(1)
