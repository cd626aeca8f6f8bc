"""Between decoded pictures and what a network takes and gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from advtasks.greyscale import greyscale
from advtasks.pictures.color import ColorSpace
from advtasks.pictures.picture import Kind, Metadata, Picture

_GAMUT = 1e-3
"""Values further outside of [0, 1] than this are colours that sRGB does not hold."""


class PictureSource:
    """The pixels of a picture as a network takes them, converted where they are cut out.

    Colour is premultiplied by opacity, so that what lies under transparent pixels does not bleed in; an opacity that
    varies is a second sample of the batch.

    Attributes:
        layers: samples: 1, or 2 with opacity.
        opaque: the value of an opacity that is the same everywhere; None if it varies or there is none.
    """

    def __init__(self, picture: Picture, channels: int = 3) -> None:
        self.picture, self.channels = picture, channels
        self.width, self.height = picture.size
        self.color = ColorSpace(picture.metadata.icc, picture.pixels.shape[2])
        alpha = picture.alpha
        same = alpha is not None and bool((alpha == alpha[0, 0]).all())
        self.opaque = alpha[0, 0] if same and alpha is not None and alpha[0, 0] > 0 else None
        self.layers = 2 if alpha is not None and self.opaque is None else 1

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(layers, channels, h, w) float32; [0, 1] but for colours outside of sRGB."""
        part = self.picture.pixels[top:bottom, left:right]
        highest = np.float32(self.picture.kind.top)
        values = part.astype(np.float32) / highest
        if not self.color.plain:
            values = self.color.to_srgb(values)
        colour = torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)
        colour = greyscale(colour) if self.channels == 1 and len(colour) == 3 else _as_channels(colour, self.channels)
        if self.layers == 1:
            return colour[None]
        assert self.picture.alpha is not None, "layers are 2 with an alpha only"
        opacity = torch.from_numpy(self.picture.alpha[top:bottom, left:right].astype(np.float32) / highest)
        return torch.stack((colour * opacity, opacity.expand_as(colour)))

    def metadata(self, kind: Kind) -> Metadata:
        """What is said about an output of `kind`: all that the picture says, but for the profile where the output is
        grey and the picture is not, or the other way round; then it is sRGB."""
        if kind.channels == self.picture.kind.channels:
            return self.picture.metadata
        return dataclasses.replace(self.picture.metadata, icc=None)

    def finished(self, band: Tensor, kind: Kind) -> NDArray[Any]:
        """(rows, width, bands) of `kind`, out of a band of the output (layers, channels, rows, width)."""
        colour = band[0]
        alpha: Tensor | None = None
        if self.layers == 2:
            alpha = band[1].mean(0).clamp(0, 1)
            colour = torch.where(alpha > 0.5 / kind.top, colour / alpha.clamp_min(1e-6), 0.0)
        if self.color.plain or kind.channels != self.picture.kind.channels:
            colour = _as_channels(colour, kind.channels)
        else:
            srgb = _as_channels(colour, 3).permute(1, 2, 0).contiguous().numpy()
            colour = torch.from_numpy(self.color.from_srgb(srgb)).permute(2, 0, 1)
        result = np.empty((*colour.shape[1:], kind.bands), kind.dtype)
        result[..., : kind.channels] = _stored(colour.permute(1, 2, 0), kind)
        if alpha is not None:
            result[..., -1] = _stored(alpha, kind)
        elif kind.alpha:
            result[..., -1] = kind.top if self.opaque is None else self.opaque
        return result


class FlatSource(PictureSource):
    """The pixels of a picture as a network takes them that makes another picture of it: laid on white, as in training;
    the opacity goes around the network. Output and input are of equal size.

    Its :meth:`finished` takes the bands in their order.
    """

    def __init__(self, picture: Picture, channels: int = 3) -> None:
        super().__init__(picture, channels)
        self.layers, self._row = 1, 0

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, channels, h, w) float32 in [0, 1]."""
        colour = super().cut(top, bottom, left, right).clamp(0, 1)
        if self.picture.alpha is None:
            return colour
        opacity = self.picture.alpha[top:bottom, left:right].astype(np.float32) / np.float32(self.picture.kind.top)
        return torch.lerp(torch.ones(()), colour, torch.from_numpy(opacity))

    def finished(self, band: Tensor, kind: Kind) -> NDArray[Any]:
        """(rows, width, bands) of `kind`, out of a band of the output (1, channels, rows, width)."""
        result = super().finished(band, kind)
        if kind.alpha and self.picture.alpha is not None:
            result[..., -1] = self.picture.alpha[self._row : self._row + len(result)]
            self._row += len(result)
        return result


def _stored(values: Tensor, kind: Kind) -> NDArray[Any]:
    levels: NDArray[Any] = (values.clamp(0, 1) * kind.top).round_().numpy()
    return levels.astype(kind.dtype)


def _as_channels(colour: Tensor, channels: int) -> Tensor:
    """(C, h, w) with another number of channels: grey is repeated, the mean is taken of colours."""
    if len(colour) == channels:
        return colour
    return colour.expand(channels, -1, -1) if len(colour) == 1 else colour.mean(0, keepdim=True)


def beyond_gamut(tile: Tensor) -> Tensor | None:
    """What of a tile lies outside of [0, 1], or None where nothing does."""
    rest = tile - tile.clamp(0, 1)
    return rest if rest.abs().max() > _GAMUT else None


def enlarged(rest: Tensor, scale: int) -> Tensor:
    """Bicubic enlargement of what a network is not shown."""
    return interpolate(rest, scale_factor=scale, mode="bicubic", align_corners=False) if scale > 1 else rest
