"""The low-resolution side of whole pictures, and of training patches on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from advtasks.data.cache import Array
from advtasks.data.resize import bicubic_downscale, downscale_rgb8
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.degradations import Draws, Recipe, degrade, degrade_rgb8, digest, load_recipe

_BICUBIC_MARGIN = 2
"""Low-resolution pixels that MATLAB's kernel reaches."""
_METHOD = 1
"""Raise it when the code of degradations changes what they give: stored ones are made again."""


@dataclass(frozen=True)
class LowSide:
    """MATLAB's bicubic downscaling, or a degradation."""

    scale: int
    recipe: Recipe | None = None
    """None is bicubic."""

    @property
    def name(self) -> str:
        """For the cache: changes when the result does."""
        if self.recipe is None:
            return f"bicubic-x{self.scale}"
        return f"degraded-{digest(self.recipe)}-{_METHOD}-x{self.scale}"

    @property
    def margin(self) -> int:
        """Low-resolution pixels around a training patch that are made with it and cut away."""
        return _BICUBIC_MARGIN if self.recipe is None else self.recipe.margin

    def of_picture(self, high: Array) -> Array:
        """(H/scale, W/scale, 3) uint8 from (H, W, 3) uint8, cropped to a multiple of the scale; always the same."""
        if self.recipe is None:
            return downscale_rgb8(high, self.scale)
        return degrade_rgb8(high, self.recipe, self.scale)

    def of_batch(self, high: Tensor, draws: Draws) -> Tensor:
        """(N, 3, H/scale, W/scale) from (N, 3, H, W), both in [0, 1], 8-bit levels; drawn anew."""
        if self.recipe is None:
            return (bicubic_downscale(high, self.scale).clamp(0, 1) * 255).round() / 255
        return degrade(high, self.recipe, self.scale, draws)


def make_low_side(config: SuperResolutionConfig) -> LowSide:
    """What the configuration names.

    Raises:
        UsageError: no such degradation, or its file has unknown fields or values.
    """
    return LowSide(config.scale, load_recipe(config.degradation))


def without_margin(low: Tensor, high: list[Tensor], margin: int, draws: Draws) -> tuple[Tensor, list[Tensor]]:
    """Aligned cuts that leave out twice `margin` low-resolution pixels on each axis, at a place of each row's own: the
    grid of JPEG blocks then lies anywhere in the patches.

    Args:
        low: (N, C, h, w).
        high: pictures (N, C, h·scale, w·scale).
    """
    rows, _, height, width = low.shape
    scale = high[0].shape[-1] // width
    size = (height - 2 * margin, width - 2 * margin)
    corners = (draws.uniform(rows, 2) * (2 * margin + 1)).long().tolist()

    def cut(pictures: Tensor, times: int) -> Tensor:
        parts = [
            picture[:, top * times : (top + size[0]) * times, left * times : (left + size[1]) * times]
            for picture, (top, left) in zip(pictures, corners, strict=True)
        ]
        return torch.stack(parts)

    return cut(low, 1), [cut(pictures, scale) for pictures in high]
