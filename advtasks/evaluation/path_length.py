"""Perceptual path length (Karras et al. 2019, section 4.1): how smoothly pictures change with their latent."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def spherical(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Interpolation along the great circle between latents (N, Z), scaled to unit length first, by shares (N, 1)."""
    first, second = (x / x.norm(dim=1, keepdim=True) for x in (first, second))
    across = (first * second).sum(1, keepdim=True)
    side = second - across * first
    side = side / side.norm(dim=1, keepdim=True)
    angle = share * across.clamp(-1, 1).acos()
    return first * angle.cos() + side * angle.sin()


def linear(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Straight interpolation, for the mapped latents of style-based generators."""
    return torch.lerp(first, second, share.expand_as(first))


@torch.inference_mode()
def perceptual_path_length(
    synthesize: Callable[[Tensor], Tensor],
    first: Tensor,
    second: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    epsilon: float = 1e-4,
    interpolate: Callable[[Tensor, Tensor, Tensor], Tensor] = spherical,
    kept: float = 0.98,
    seed: int = 0,
    batch: int = 16,
) -> float:
    """Mean of ``d(G(z_t), G(z_{t+ε})) / ε²`` over paths between pairs of latents, t uniform in [0, 1].

    Args:
        synthesize: from latents (N, Z) to pictures.
        first, second: the ends of N paths.
        distance: (N,) of two batches of pictures; a squared distance, as LPIPS and
            :class:`advtasks.evaluation.perceptual_distance.PerceptualDistance` are. The value bears its name.
        batch: paths at a time; the value does not depend on it.
        kept: the share in the middle that is averaged; the paper drops 1 % at each end.

    Raises:
        ValueError: a distance is not finite.
    """
    draws = torch.Generator().manual_seed(seed)
    share = torch.rand(len(first), 1, generator=draws, dtype=first.dtype).to(first.device)
    parts = []
    for one, other, at in zip(first.split(batch), second.split(batch), share.split(batch), strict=True):
        ends = (interpolate(one, other, at + shift) for shift in (0.0, epsilon))
        parts.append(distance(*(synthesize(latent) for latent in ends)).double().flatten() / epsilon**2)
    lengths = torch.cat(parts)
    if not lengths.isfinite().all():
        raise ValueError("a path length is not finite")
    dropped = int(len(lengths) * (1 - kept) / 2)
    ordered = lengths.sort().values
    return ordered[dropped : len(ordered) - dropped].mean().item()
