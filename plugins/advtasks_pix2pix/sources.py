"""Between decoded pictures, and what networks of translation take and give."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advtasks.draws import SeededDraws
from advtasks.errors import DataError
from advtasks.inference.tensors import FlatSource, PictureSource
from advtasks.pictures.picture import Kind, Metadata, Picture
from advtasks_pix2pix.makers import MAKERS
from advtasks_pix2pix.pixels import Pixels, to_network


class TranslationSource(FlatSource):
    """Between pictures and class numbers, and what a network of translation takes and gives.

    Raises:
        DataError: the picture has other channels, or a label map is wanted, and this is none, or of other classes.
    """

    def __init__(self, picture: Picture, given: Pixels, wanted: Pixels) -> None:
        if given.measured and picture.alpha is not None:  # an array whose last channel is none of opacity
            picture = Picture(np.ascontiguousarray(picture.rows()), None, picture.metadata)
        self._check(picture, given)
        self.see_opacity = given.channels == 4 and not given.measured
        super().__init__(picture, 3 if self.see_opacity else given.channels)
        self.given, self.wanted = given, wanted

    @staticmethod
    def _check(picture: Picture, given: Pixels) -> None:
        channels = picture.pixels.shape[2]
        if given.kind == "labels":
            if channels != 1 or picture.pixels.dtype != np.uint8:
                raise DataError("this model takes label maps: one channel of 8 bits that holds numbers of classes")
            numbers = picture.pixels
            if (highest := int(numbers.max(initial=0, where=numbers != given.void))) >= given.classes:
                raise DataError(f"a label map of this model holds the classes 0 to {given.classes - 1}, not {highest}")
        elif channels != given.channels and (given.measured or channels not in (1, 3)):
            raise DataError(f"this model takes {given.channels} channels, and this has {channels}")

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, planes, h, w) float32 in [0, 1]."""
        if self.given.kind == "labels":
            numbers = torch.from_numpy(self.picture.pixels[top:bottom, left:right, 0].astype(np.int64))
            return to_network(numbers[None], self.given)
        if not self.see_opacity:
            return super().cut(top, bottom, left, right)
        opacity = torch.ones(1, 1, bottom - top, right - left)
        if (alpha := self.picture.alpha) is not None:
            opacity[0, 0] = torch.from_numpy(alpha[top:bottom, left:right] / np.float32(self.picture.kind.top))
        colour = PictureSource.cut(self, top, bottom, left, right).clamp(0, 1)  # as it is: the network sees the opacity
        return torch.cat((colour, opacity), 1)

    def finished(self, band: Tensor, kind: Kind) -> NDArray[Any]:
        """(rows, width, bands) of `kind`."""
        if self.wanted.kind == "labels":
            return band[0].argmax(0).byte().numpy()[..., None]
        if kind.real:
            values = band[0] * (self.wanted.high - self.wanted.low) + self.wanted.low
            return np.ascontiguousarray(values.permute(1, 2, 0).numpy())
        if self.wanted.channels in (1, 3) and not self.wanted.measured:
            return super().finished(band, kind)
        values = (band[0].clamp(0, 1) * kind.top).round().permute(1, 2, 0)
        return values.numpy().astype(kind.dtype)

    def metadata(self, kind: Kind) -> Metadata:
        """That of the picture; of class numbers their colours."""
        if self.wanted.kind == "labels":
            palette = bytes(value for color in self.wanted.palette() for value in color)
            return Metadata(dpi=self.picture.metadata.dpi, palette=palette)
        found = super().metadata(kind)
        return dataclasses.replace(found, icc=None) if self.wanted.measured else found


class MadeSource(TranslationSource):
    """The input that a maker makes of a picture, at full depth; the opacity goes around it.

    Args:
        maker: its name.
        whole: what the picture is: a target.
    """

    def __init__(self, picture: Picture, whole: Pixels, wanted: Pixels, maker: str) -> None:
        super().__init__(picture, whole, wanted)
        self.made = MAKERS[maker](super().cut(0, self.height, 0, self.width), SeededDraws(0))

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, planes, h, w) float32 in [0, 1]."""
        return self.made[..., top:bottom, left:right]
