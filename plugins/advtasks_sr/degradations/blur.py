"""Random blur kernels, and the filter that applies one to each picture."""

from __future__ import annotations

import math

import torch
from kornia.filters import filter2d
from torch import Tensor

from advtasks.draws import Draws
from advtasks_sr.degradations import kernels
from advtasks_sr.degradations.recipe import Blur, Final, Range, Shapes
from advtasks_sr.degradations.spread import choice, within

_SMALL = 13
"""Sinc kernels of fewer pixels cannot resolve low cut-offs, so theirs start at `_SMALL_CUTOFF`."""
_SMALL_CUTOFF = 1 / 3
_NAMES = tuple(Shapes().weights())


def draw_kernels(blur: Blur, rows: int, draws: Draws) -> Tensor:
    """(rows, S, S) kernels with sum 1, S the largest size; a single 1 where there is no blur.

    The order of decisions is Real-ESRGAN's (``realesrgan_dataset.py``, read): size, sinc or not, shape, widths,
    angle, beta. Isotropic kernels use the first width. All are drawn for each row, whatever its kind, so rows stay
    independent.
    """
    u = draws.uniform(rows, 9).T
    sizes = _odd(u[0], blur.sizes)
    size = blur.sizes[1]
    shape = choice(u[1], list(blur.shapes.weights().values()) if blur.sinc < 1 else [1.0])
    kinds = [_NAMES[number] for number in shape.tolist()]
    round_ = torch.tensor([not kind.endswith("anisotropic") for kind in kinds])
    sigma_x, sigma_y = within(u[2], *blur.sigma), within(u[3], *blur.sigma)
    angle = within(u[4], -math.pi, math.pi)
    squared = kernels.squared_distance(size, sigma_x, torch.where(round_, sigma_x, sigma_y), angle)
    generalized, flat = (torch.tensor([kind.startswith(name) for kind in kinds]) for name in ("generalized", "plateau"))
    beta = torch.where(generalized, _beta(u[5], u[6], blur.generalized_beta), torch.ones(rows))
    found = kernels.generalized_gaussian(squared, beta)
    level = kernels.plateau(squared, _beta(u[5], u[6], blur.plateau_beta))
    found = torch.where(flat[:, None, None], level, found)
    lowest = torch.where(sizes < _SMALL, max(_SMALL_CUTOFF, blur.cutoff[0]), blur.cutoff[0])
    lowest = lowest.clamp(max=blur.cutoff[1])
    # u[2] is the width of the others; a row is one or the other
    ringing = kernels.sinc(size, within(u[2], lowest, torch.tensor(blur.cutoff[1])) * math.pi)
    found = torch.where((u[7] < blur.sinc)[:, None, None], ringing, found)
    found = kernels.cut_and_normalized(found, sizes)
    return torch.where((u[8] < blur.probability)[:, None, None], found, _pulse(size))


def draw_final_kernels(final: Final, rows: int, draws: Draws) -> Tensor:
    """(rows, S, S) sinc kernels with sum 1; a single 1 for the share without."""
    u = draws.uniform(rows, 3).T
    size = final.sizes[1]
    found = kernels.sinc(size, within(u[1], *final.cutoff) * math.pi)
    found = kernels.cut_and_normalized(found, _odd(u[0], final.sizes))
    return torch.where((u[2] < final.sinc)[:, None, None], found, _pulse(size))


def filtered(pictures: Tensor, per_picture: Tensor) -> Tensor:
    """Each picture (N, C, H, W) correlated with its kernel (N, S, T), S and T odd; borders are mirrored, as often as a
    small picture needs, where kornia's own padding refuses pictures smaller than half the kernel."""
    tall, long = (side // 2 for side in per_picture.shape[-2:])
    height, width = pictures.shape[-2:]
    wide = pictures.index_select(-2, _mirror(height, tall, pictures.device))
    wide = wide.index_select(-1, _mirror(width, long, pictures.device))
    found: Tensor = filter2d(wide, per_picture.to(pictures.device, non_blocking=True), padding="valid")
    return found


def _mirror(size: int, margin: int, device: torch.device) -> Tensor:
    """Indices of a picture mirrored about its outermost pixels, which are not repeated."""
    period = max(2 * (size - 1), 1)
    places = torch.arange(-margin, size + margin, device=device) % period
    return torch.where(places >= size, period - places, places)


def _odd(uniform: Tensor, sizes: tuple[int, int]) -> Tensor:
    """Odd numbers from sizes[0] to sizes[1], equally likely."""
    return sizes[0] + 2 * (uniform * ((sizes[1] - sizes[0]) // 2 + 1)).long()


def _beta(side: Tensor, place: Tensor, beta: Range) -> Tensor:
    """Half below 1 and half above, uniform within each: a uniform draw over both would rarely be below."""
    low, high = beta
    edge = min(max(1.0, low), high)
    return torch.where(side < 0.5, within(place, low, edge), within(place, edge, high))


def _pulse(size: int) -> Tensor:
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel
