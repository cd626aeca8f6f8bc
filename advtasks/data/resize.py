"""MATLAB-exact bicubic resizing, the protocol of super-resolution."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

_REACH = 4
"""Low-resolution pixels that a picture is extended by: the kernel reaches 2, and without them the border is up to 4.5
levels off."""
_BAND = 2**21
"""High-resolution pixels that are downscaled at a time, in some 150 MB."""


def _mirror(size: int, margin: int, device: torch.device) -> Tensor:
    """Indices of a symmetric extension by `margin` on both sides, as often mirrored as needed."""
    places = torch.arange(-margin, size + margin, device=device) % (2 * size)
    return torch.where(places >= size, 2 * size - 1 - places, places)


def bicubic_downscale(pictures: Tensor, scale: int) -> Tensor:
    """What MATLAB's ``imresize(picture, 1/scale)`` computes: bicubic (a = -0.5) with antialiasing, symmetric border.

    Args:
        pictures: (N, C, H, W), float32 or float64, any value range; H and W multiples of `scale`.
        scale: 2, 3, 4, 8 or any whole number.

    Returns:
        (N, C, H/scale, W/scale), not clipped and not rounded.

    Raises:
        ValueError: a side is not a multiple of the scale.
    """
    height, width = pictures.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"sides {height}x{width} must be multiples of the scale {scale}: crop first")
    rows, columns = (_mirror(side, _REACH * scale, pictures.device) for side in (height, width))
    return _of_extended(pictures.index_select(-2, rows).index_select(-1, columns), scale)


def _of_extended(pictures: Tensor, scale: int) -> Tensor:
    """The downscaled middle of pictures with a margin of :data:`_REACH` low-resolution pixels on each side."""
    size = (pictures.shape[-2] // scale, pictures.shape[-1] // scale)
    small = interpolate(pictures, size=size, mode="bicubic", antialias=True, align_corners=False)
    return small[..., _REACH:-_REACH, _REACH:-_REACH]


def bicubic_upscale(pictures: Tensor, scale: int) -> Tensor:
    """What MATLAB's ``imresize(picture, scale)`` computes: the baseline of super-resolution.

    Args:
        pictures: (N, C, H, W), float32 or float64.

    Returns:
        (N, C, H·scale, W·scale), not clipped and not rounded.
    """
    margin = 4
    extended = pictures.index_select(-2, _mirror(pictures.shape[-2], margin, pictures.device)).index_select(
        -1, _mirror(pictures.shape[-1], margin, pictures.device)
    )
    # antialias=True selects a = -0.5, as MATLAB has; it smooths nothing when enlarging
    large = interpolate(extended, scale_factor=scale, mode="bicubic", antialias=True, align_corners=False)
    crop = margin * scale
    return large[..., crop:-crop, crop:-crop]


def downscale_rgb8(picture: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """The low-resolution side of a training pair: (H, W, 3) uint8 cropped to a multiple of `scale`, downscaled,
    rounded to uint8 as MATLAB does. Bands of rows one after the other: in float64 a picture of a telephone fills the
    memory."""
    height, width = (side - side % scale for side in picture.shape[:2])
    margin = _REACH * scale
    rows, columns = (_mirror(side, margin, torch.device("cpu")) for side in (height, width))
    step = max(_BAND // width // scale, 1) * scale
    bands = []
    for top in range(0, height, step):
        taken = rows[top : min(top + step, height) + 2 * margin].numpy()
        band = torch.from_numpy(np.asarray(picture[taken, :width])).permute(2, 0, 1)[None].double()
        small = _of_extended(band.index_select(-1, columns), scale)
        bands.append(small[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(bands)
