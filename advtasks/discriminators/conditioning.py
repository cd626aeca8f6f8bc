"""How critics join a sample and its condition."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

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
    if condition.dim() == 4:
        condition = condition * 2 - 1
    else:
        if not condition.is_floating_point():
            condition = one_hot(condition, in_channels - sample.shape[1])
        condition = condition.to(sample)
        if picture:
            condition = condition[:, :, None, None].expand(-1, -1, *sample.shape[2:])
    return torch.cat((joined, condition), dim=1)


def rgb_and_condition(
    picture: Tensor, condition: Tensor | None, in_channels: int, critic: str
) -> tuple[Tensor, Tensor | None]:
    """For critics that look at the picture itself in a way of their own: RGB pictures (N, 3, H, W), and the condition
    as channels (N, in_channels - 3, H, W) in [-1, 1], or None.

    Raises:
        UsageError: the sample has another number of channels, for example several pictures packed.
    """
    if picture.dim() != 4 or picture.shape[1] != 3:
        raise UsageError(
            f"the critic {critic!r} looks at single RGB pictures (N, 3, H, W), not at {tuple(picture.shape)}; without "
            "pack, or with the critic 'patch' or 'unet'"
        )
    joined = join(picture, condition, in_channels)[:, 3:]
    return picture, joined if joined.shape[1] else None
