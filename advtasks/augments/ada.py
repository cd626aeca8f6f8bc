"""Adaptive discriminator augmentation (StyleGAN2-ADA: Karras et al. 2020a)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from kornia.geometry.transform import homography_warp
from torch import Tensor

from advtasks.augments.augment import Draws
from advtasks.augments.controller import ControlledAugment
from advtasks.distributed import draw_rows
from advtasks.wide import at_least_float32


class AdaptiveAugment(ControlledAugment):
    """The pipeline ``bgc`` (appendix B): flips, quarter turns, whole-pixel moves; scaling, rotation, anisotropic
    scaling, fractional moves; brightness, contrast, luma flip, hue, saturation: each with probability p, which follows
    the critic's overfitting (:class:`~advtasks.augments.controller.OverfittingController`).

    All geometry is one warp, bilinear with reflected borders (the paper resamples through a wavelet pair). Colour is
    one affine map of RGB; pictures of other than three channels get brightness, contrast and luma flip.

    When to use: noise-to-image on small sets, with a loss whose logits have a zero (not relativistic or Wasserstein:
    there give ``target=none`` and a fixed ``p``). Healthy: p settles below 0.8, ``overfitting`` around the target.
    """

    name: ClassVar[str] = "ada"

    def __init__(
        self,
        p: float = 0.0,
        target: float | None = 0.6,
        interval: int = 4,
        speed: float = 500_000.0,
        most: float = 1.0,
    ) -> None:
        super().__init__(p, target, interval, speed, most)

    def draw(self, sample: Tensor, step: int) -> Draws:
        """A matrix from places of the result to places of the sample (N, 3, 3), in [-1, 1] with square pixels taken
        into account, and an affine map of the channels (N, 3, 4) in [-1, 1]."""
        count, _, height, width = sample.shape
        device = sample.device
        p = self.controller.p
        uniform = draw_rows(torch.rand, count, 8, device=device)
        normal = draw_rows(torch.randn, count, 7, device=device)
        chance = draw_rows(torch.rand, count, 14, device=device)

        def sometimes(index: int, value: Tensor, otherwise: float, probability: Tensor = p) -> Tensor:
            return torch.where(chance[:, index] < probability, value, otherwise)

        rotation = 1 - (1 - p).clamp(min=0).sqrt()  # twice, so that one of both happens with probability p
        turn = lambda value: (value * 2 - 1) * math.pi  # noqa: E731
        whole = lambda value, side: ((value * 2 - 1) * 0.125 * side).round() * 2 / side  # noqa: E731
        aspect = width / height

        # from result to sample: the inverses of the paper's steps, in reverse order
        matrix = _move(sometimes(0, normal[:, 0] * 0.25, 0), sometimes(0, normal[:, 1] * 0.25, 0))
        matrix = _scale(torch.full((count,), aspect, device=device), 1) @ matrix
        matrix = _rotate(sometimes(1, turn(uniform[:, 0]), 0, rotation)) @ matrix
        stretch = sometimes(2, (0.2 * math.log(2) * normal[:, 2]).exp(), 1)
        matrix = _scale(stretch, 1 / stretch) @ matrix
        matrix = _rotate(sometimes(3, turn(uniform[:, 1]), 0, rotation)) @ matrix
        zoom = sometimes(4, (0.2 * math.log(2) * normal[:, 3]).exp(), 1)
        matrix = _scale(1 / zoom, 1 / zoom) @ matrix
        matrix = _rotate(sometimes(5, (uniform[:, 2] * 4).floor() * (math.pi / 2), 0)) @ matrix
        matrix = _scale(torch.full((count,), 1 / aspect, device=device), 1) @ matrix
        shift = whole(uniform[:, 3], width), whole(uniform[:, 4], height)
        matrix = _move(sometimes(6, shift[0], 0), sometimes(6, shift[1], 0)) @ matrix
        flip = sometimes(7, torch.where(uniform[:, 5] < 0.5, -1.0, 1.0), 1)
        matrix = _scale(flip, 1) @ matrix

        color = _color(
            brightness=sometimes(8, normal[:, 4] * 0.2, 0),
            contrast=sometimes(9, (0.5 * math.log(2) * normal[:, 5]).exp(), 1),
            luma_flip=sometimes(10, (uniform[:, 6] < 0.5).float(), 0),
            hue=sometimes(11, turn(uniform[:, 7]), 0),
            saturation=sometimes(12, (math.log(2) * normal[:, 6]).exp(), 1),
        )
        return {"place": matrix, "color": color}

    def transform(self, sample: Tensor, draws: Draws) -> Tensor:
        """Place, then colour."""
        moved = self.transform_condition(sample, draws) * 2 - 1
        color = draws["color"].to(moved)
        if moved.shape[1] == 3:
            changed = torch.einsum("nij,njhw->nihw", color[:, :, :3], moved) + color[:, :, 3, None, None]
        else:  # grey colours keep their direction: the map of (v, v, v)
            gain = color[:, :, :3].sum(2).mean(1)[:, None, None, None]
            changed = moved * gain + color[:, :, 3].mean(1)[:, None, None, None]
        return (changed + 1) / 2

    def transform_condition(self, condition: Tensor, draws: Draws) -> Tensor:
        """Place."""
        wide = at_least_float32(condition)
        height, width = wide.shape[2:]
        return homography_warp(
            wide, draws["place"].to(wide), (height, width), padding_mode="reflection", align_corners=False
        )


def _matrix(rows: list[list[Tensor | float]], like: Tensor) -> Tensor:
    columns = [torch.stack([torch.zeros_like(like) + value for value in row], dim=-1) for row in rows]
    return torch.stack(columns, dim=-2)


def _move(x: Tensor, y: Tensor) -> Tensor:
    return _matrix([[1, 0, x], [0, 1, y], [0, 0, 1]], x)


def _scale(x: Tensor, y: Tensor | float) -> Tensor:
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], x)


def _rotate(angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return _matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], angle)


def _color(*, brightness: Tensor, contrast: Tensor, luma_flip: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """(N, 3, 4): brightness, contrast, reflection at the grey plane, rotation around the grey axis, distance to it."""
    grey = torch.full((3, 3), 1 / 3, device=brightness.device)  # projection on the grey axis
    identity = torch.eye(3, device=brightness.device)
    upper = identity.roll(2, 1)  # ones at (0, 2), (1, 0), (2, 1)
    cross = (upper - upper.T) / math.sqrt(3)  # the generator of rotations around the grey axis
    each = lambda value: value[:, None, None]  # noqa: E731
    linear = each(contrast) * identity
    linear = (identity - 2 * grey * each(luma_flip)) @ linear
    linear = (grey + each(hue.cos()) * (identity - grey) + each(hue.sin()) * cross) @ linear
    linear = (grey + (identity - grey) * each(saturation)) @ linear
    offset = linear.sum(2, keepdim=True) * each(brightness)  # brightness comes first
    return torch.cat((linear, offset), dim=2)
