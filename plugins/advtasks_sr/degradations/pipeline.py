"""From high resolution to a degraded low resolution, by a recipe."""

from __future__ import annotations

import torch
from torch import Tensor

from advtasks.draws import Draws
from advtasks_sr.degradations.blur import draw_final_kernels, draw_kernels, filtered
from advtasks_sr.degradations.jpeg import jpeg
from advtasks_sr.degradations.noise import noisy
from advtasks_sr.degradations.recipe import Final, Jpeg, Recipe
from advtasks_sr.degradations.resize import draw_factor, draw_modes, resized
from advtasks_sr.degradations.spread import within


@torch.no_grad()
def degrade(pictures: Tensor, recipe: Recipe, scale: int, draws: Draws) -> Tensor:
    """The low-resolution side of `pictures`.

    Each pass blurs, resizes, adds noise and compresses; then comes the resize to the low-resolution size with a sinc
    filter, before or after the last pass's JPEG (Real-ESRGAN: Wang et al. 2021, section 3; order of
    ``realesrgan_model.py``, read). Everything is drawn for each picture but the resize factors, which a batch shares,
    so that it stays one tensor.

    Real-ESRGAN mixes its batches with a pool of 180 earlier pairs, because there noise kind, interpolation and order
    are shared, too. Here there is no pool: it would be state that a resumed run has to restore on every rank. What is
    lost is variety of the resize factors *within* a batch; over the batches they are as varied.

    Args:
        pictures: (N, 3, H, W) float32 in [0, 1]; H and W multiples of `scale`.
        draws: where the random numbers come from.

    Returns:
        (N, 3, H/scale, W/scale) in [0, 1], rounded to 8-bit levels.

    Raises:
        ValueError: a side is not a multiple of the scale.
    """
    rows, _, height, width = pictures.shape
    if height % scale or width % scale:
        raise ValueError(f"sides {height}x{width} must be multiples of the scale {scale}: crop first")
    low = (height // scale, width // scale)
    found = pictures
    for number, part in enumerate(recipe.passes):
        if part.blur.probability > 0:
            found = filtered(found, draw_kernels(part.blur, rows, draws))
        base = (height, width) if part.resize.relative_to == "high" else low
        factor = draw_factor(part.resize, draws)
        size = tuple(max(int(side * factor), 1) for side in base)
        found = resized(found, (size[0], size[1]), draw_modes(part.resize.modes, rows, draws))
        if part.noise.probability > 0:
            found = noisy(found, part.noise, draws)
        if number < len(recipe.passes) - 1:
            found = _compressed(found, _draw_quality(part.jpeg, rows, draws))
    last = recipe.passes[-1].jpeg
    quality = _draw_quality(last, rows, draws)
    ends_with_jpeg = draws.uniform(rows) < recipe.final.jpeg_last
    found = _compressed(found, torch.where(ends_with_jpeg, torch.nan, quality))
    found = _ended(found, recipe.final, low, draws)
    found = _compressed(found, torch.where(ends_with_jpeg, quality, torch.nan))
    return (found.clamp(0, 1) * 255).round() / 255


def _ended(pictures: Tensor, final: Final, size: tuple[int, int], draws: Draws) -> Tensor:
    found = resized(pictures, size, draw_modes(final.modes, len(pictures), draws))
    return filtered(found, draw_final_kernels(final, len(pictures), draws)) if final.sinc > 0 else found


def _draw_quality(part: Jpeg, rows: int, draws: Draws) -> Tensor:
    """(N,) qualities on the host; NaN where there is no JPEG."""
    u = draws.uniform(rows, 2).T
    return torch.where(u[0] < part.probability, within(u[1], *part.quality), torch.nan)


def _compressed(pictures: Tensor, quality: Tensor) -> Tensor:
    """JPEG for the rows that have a quality; others as they are."""
    coded = (~quality.isnan()).nonzero()[:, 0]
    if not len(coded):
        return pictures
    found, rows = pictures.clone(), coded.to(pictures.device, non_blocking=True)
    found[rows] = jpeg(pictures[rows], quality[coded])
    return found
