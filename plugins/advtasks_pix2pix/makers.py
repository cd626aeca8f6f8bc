"""Inputs made from their targets, on the device: any folder of pictures is a task (edges to photo, colourisation,
inpainting, deblurring)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from advtasks.draws import Draws
from advtasks.sobel import sobel
from advtasks.transfers import constant
from advtasks_pix2pix.pixels import Pixels

_SHRINK = 4
_SKETCH_SIGMA = 3.0
_HOLES = 3
_HOLDS = (1.1, 0.5, 0.5)
"""The chance of each hole; the first one is always there."""


def _grey(pictures: Tensor) -> Tensor:
    from kornia.color import rgb_to_grayscale

    return rgb_to_grayscale(pictures)


def grey(pictures: Tensor, draws: Draws) -> Tensor:
    """Luma (N, 1, H, W): 0.299 R + 0.587 G + 0.114 B."""
    return _grey(pictures)


def edges(pictures: Tensor, draws: Draws) -> Tensor:
    """Dark edges on white (N, 1, H, W): 1 - 4 times the Sobel magnitude of the luma, blurred by a pixel."""
    from kornia.filters import gaussian_blur2d

    smooth = gaussian_blur2d(_grey(pictures), 5, (1.0, 1.0), border_type="replicate")
    across, down = sobel(pad(smooth, (1, 1, 1, 1), mode="replicate"))
    return 1 - (4 * (across**2 + down**2 + 1e-6).sqrt()).clamp(0, 1)


def sketch(pictures: Tensor, draws: Draws) -> Tensor:
    """A pencil drawing (N, 1, H, W): the luma over its own blur (colour dodge)."""
    from kornia.filters import gaussian_blur2d

    luma = _grey(pictures)
    size = 2 * int(3 * _SKETCH_SIGMA) + 1
    blurred = gaussian_blur2d(luma, size, (_SKETCH_SIGMA, _SKETCH_SIGMA), border_type="replicate")
    return (luma / blurred.clamp_min(1e-3)).clamp(0, 1)


def lowres(pictures: Tensor, draws: Draws) -> Tensor:
    """(N, 3, H, W) shrunk to a quarter of each side, antialiased, and enlarged again."""
    height, width = pictures.shape[-2:]
    small = (max(height // _SHRINK, 1), max(width // _SHRINK, 1))
    shrunk = interpolate(pictures, small, mode="bicubic", antialias=True)
    return interpolate(shrunk, (height, width), mode="bicubic").clamp(0, 1)


def blur(pictures: Tensor, draws: Draws) -> Tensor:
    """(N, 3, H, W) out of focus by a Gaussian of 0.5 to 4 pixels, another one for each picture."""
    from kornia.filters import filter2d_separable, get_gaussian_kernel1d

    line = get_gaussian_kernel1d(25, 0.5 + 3.5 * draws.uniform(len(pictures), 1))  # on the host, which checks it
    line = line.to(pictures, non_blocking=True)
    return filter2d_separable(pictures, line, line, border_type="replicate")


def mask(pictures: Tensor, draws: Draws) -> Tensor:
    """(N, 4, H, W): white where one to three rectangles are missing, and opacity, which is 0 there."""
    count, (height, width) = len(pictures), pictures.shape[-2:]
    numbers = draws.uniform(count, _HOLES, 4).to(pictures, non_blocking=True)
    shown = draws.uniform(count, _HOLES).to(pictures, non_blocking=True) < constant(_HOLDS, pictures)
    sides = 0.1 + 0.3 * numbers[..., :2]
    first = numbers[..., 2:] * (1 - sides)
    rows = torch.arange(height, device=pictures.device).add(0.5).div(height)[None, None, :, None]
    columns = torch.arange(width, device=pictures.device).add(0.5).div(width)[None, None, None]
    top, left = first[..., 0, None, None], first[..., 1, None, None]
    inside = (rows >= top) & (rows < top + sides[..., 0, None, None])
    inside = inside & (columns >= left) & (columns < left + sides[..., 1, None, None]) & shown[..., None, None]
    opacity = 1 - inside.any(1, keepdim=True).float()
    return torch.cat((torch.where(opacity > 0, pictures, 1.0), opacity), 1)


MAKERS: Mapping[str, Callable[[Tensor, Draws], Tensor]] = {
    "edges": edges, "grey": grey, "lowres": lowres, "mask": mask, "sketch": sketch, "blur": blur,
}  # fmt: skip
"""Each takes RGB pictures (N, 3, H, W) in [0, 1] and gives (N, C, H, W) in [0, 1]."""


def made_pixels(name: str) -> Pixels:
    """What a maker's inputs are."""
    return Pixels(channels={"lowres": 3, "blur": 3, "mask": 4}.get(name, 1))
