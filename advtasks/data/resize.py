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


class Downscaled:
    """The low-resolution side of a training pair, of which only the windows that are cut out are computed.

    Args:
        picture: (H, W, 3) uint8; cropped to a multiple of `scale`.
    """

    def __init__(self, picture: NDArray[np.uint8], scale: int) -> None:
        self.picture, self.scale = picture, scale
        height, width = (side // scale for side in picture.shape[:2])
        self.shape = (height, width, 3)
        self._rows, self._columns = (
            _mirror(side * scale, _REACH * scale, torch.device("cpu")).numpy() for side in (height, width)
        )

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, rounded as MATLAB does; the same as that part of the whole."""
        rows, columns = (
            places[side.start * self.scale : (side.stop + 2 * _REACH) * self.scale]
            for places, side in zip((self._rows, self._columns), window, strict=True)
        )
        taken = torch.from_numpy(self.picture[rows[:, None], columns]).permute(2, 0, 1)[None].double()
        return _of_extended(taken, self.scale)[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def downscale_rgb8(picture: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """The whole low-resolution side of a training pair, (H, W, 3) uint8: see :class:`Downscaled`. Bands of rows one
    after the other: in float64 a picture of a telephone fills the memory."""
    low = Downscaled(picture, scale)
    height, width, _ = low.shape
    step = max(_BAND // scale**2 // width, 1)
    tops = range(0, height, step)
    return np.concatenate([low[top : min(top + step, height), 0:width] for top in tops])
