"""How critics join a sample and its condition."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from advtasks.errors import UsageError


def join(sample: Tensor, condition: Tensor | None, in_channels: int) -> Tensor:
    """Concatenate by channels (Mirza & Osindero 2014), and move pictures from [0, 1] to [-1, 1].

    Args:
        sample: pictures (N, C, H, W), or points (N, C), which stay as they are.
        condition: a picture (N, C', H, W); or class numbers (N,) or an embedding (N, E), repeated at every place.
        in_channels: of the result; tells how many classes there are.
    """
    picture = sample.dim() == 4
    joined = sample * 2 - 1 if picture else sample
    if condition is None:
        return joined
    channels = _channels(sample, condition, in_channels)
    if picture:
        return torch.cat((joined, channels.expand(-1, -1, *sample.shape[2:])), dim=1)
    return torch.cat((joined, channels.flatten(1)), dim=1)


def _channels(sample: Tensor, condition: Tensor, in_channels: int) -> Tensor:
    """(N, C', H, W) of a picture, in [-1, 1]; (N, C', 1, 1) of classes or an embedding."""
    if condition.dim() == 4:
        return condition * 2 - 1
    if not condition.is_floating_point():
        condition = one_hot(condition, in_channels - sample.shape[1])
    return condition.to(sample)[:, :, None, None]


def join_features(features: Tensor, channels: Tensor | None) -> Tensor:
    """Features (N, C, h, w) and the second of :func:`rgb_and_condition`, pooled or repeated to their size."""
    if channels is None:
        return features
    height, width = features.shape[2:]
    everywhere = channels.shape[2:] == (1, 1)
    found = channels.expand(-1, -1, height, width) if everywhere else adaptive_avg_pool2d(channels, (height, width))
    return torch.cat((features, found), 1)


def rgb_and_condition(
    picture: Tensor, condition: Tensor | None, in_channels: int, critic: str
) -> tuple[Tensor, Tensor | None]:
    """For critics that look at the picture itself in a way of their own: RGB pictures (N, 3, H, W), and the condition
    as channels (N, in_channels - 3, H, W) in [-1, 1], of height and width 1 where it is the same everywhere, or None.

    Raises:
        UsageError: the sample has another number of channels, for example several pictures packed.
    """
    if picture.dim() != 4 or picture.shape[1] != 3:
        raise UsageError(
            f"the critic {critic!r} looks at single RGB pictures (N, 3, H, W), not at {tuple(picture.shape)}; without "
            "pack, or with the critic 'patch' or 'unet'"
        )
    return picture, None if condition is None else _channels(picture, condition, in_channels)
