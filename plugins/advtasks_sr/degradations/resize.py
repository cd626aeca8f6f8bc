"""Resizes as programs do them: each picture with an interpolation of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from advtasks.draws import Draws
from advtasks.transfers import places
from advtasks_sr.degradations.recipe import Mode, Resize
from advtasks_sr.degradations.spread import choice, within


def draw_factor(resize: Resize, draws: Draws) -> float:
    """The factor of a batch; up, down or keep first, then uniform within."""
    kind, place = draws.shared(2)
    low, high = resize.factors
    number = int(choice(torch.tensor([kind]), [resize.up, resize.down, resize.keep]))
    return (1 + place * (high - 1), low + place * (1 - low), 1.0)[number]


def draw_modes(modes: Sequence[Mode], rows: int, draws: Draws) -> list[Mode]:
    """An interpolation for each row, equally likely."""
    return [modes[int(place)] for place in within(draws.uniform(rows), 0, len(modes))]


def resized(pictures: Tensor, size: tuple[int, int], modes: Sequence[Mode]) -> Tensor:
    """(N, C, *size) from (N, C, H, W); row i by modes[i].

    ``area`` averages whole pixels, ``bilinear`` and ``bicubic`` (a = -0.75) look at the nearest 2 and 4 pixels only
    and so alias when they shrink, as OpenCV's do; ``antialiased`` is bicubic (a = -0.5) whose kernel grows with the
    factor, as Pillow's and MATLAB's.
    """
    if tuple(pictures.shape[-2:]) == size:
        return pictures
    found = pictures.new_empty(*pictures.shape[:2], *size)
    for mode in dict.fromkeys(modes):
        rows = places([row for row, other in enumerate(modes) if other == mode], pictures.device)
        if mode == "area":
            found[rows] = interpolate(pictures[rows], size=size, mode="area")
        else:
            name, antialias = ("bicubic", True) if mode == "antialiased" else (mode, False)
            found[rows] = interpolate(pictures[rows], size=size, mode=name, align_corners=False, antialias=antialias)
    return found
