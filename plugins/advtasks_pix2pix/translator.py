"""The engine of ``advtasks translate``, for the command and for Python."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import one_hot

from advtasks.bundle import Manifest
from advtasks.draws import SeededDraws
from advtasks.errors import DataError, UsageError
from advtasks.inference.engine import ImageModel
from advtasks.inference.tensors import FlatSource, PictureSource
from advtasks.pictures.animation import Animation
from advtasks.pictures.decode import read_kind
from advtasks.pictures.picture import Kind, Metadata, Picture
from advtasks_pix2pix.makers import MAKERS
from advtasks_pix2pix.pairing import Side
from advtasks_pix2pix.pixels import Pixels, to_network
from advtasks_pix2pix.reading import read_side


class Translator(ImageModel):
    """Translates images: ``Translator.load("RUN")(image)``, of any size to the same size. See
    :class:`advtasks.inference.engine.ImageModel` for the kinds of images, options, threads and errors. Label maps are
    arrays (H, W) of class numbers, or files.

    Args:
        make_input: the input is made from the given picture, as in training.
        seed: of the noise, for networks that give one input several outputs; None gives their mean.
    """

    def __init__(
        self,
        network: nn.Module,
        manifest: Manifest,
        device: torch.device | str = "cpu",
        tile: int | None = None,
        *,
        make_input: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        known = manifest.task_options
        self.made = str(known.get("make_input", "none"))
        self.given, self.wanted = (
            Pixels.of(json.loads(known[f"{side}_pixels"])) if f"{side}_pixels" in known else Pixels(channels=channels)
            for side, channels in (("input", manifest.channels), ("target", manifest.out_channels or manifest.channels))
        )
        if make_input and self.made == "none":
            raise UsageError("--make-input: this model was trained with inputs of their own, nothing can be made")
        if self.wanted.kind == "picture" and self.wanted.channels not in (1, 3, 4):
            raise UsageError(f"this model gives {self.wanted.channels} channels, which no picture file holds")
        self.make_input = make_input
        super().__init__(network if seed is None else Seeded(network, seed), manifest, device, tile, **options)

    def read(self, path: Path, limit: int | None = None) -> Picture:
        """A picture, or class numbers as a grey one of 8 bits; floating-point values and many channels as 16 bit."""
        if not self._plain:
            self.kind(path, limit)
            return Picture(self._stored(read_side(Side(path), self.given)))
        picture = super().read(path, limit)
        return self._made(picture) if self.make_input else picture

    def kind(self, path: Path, limit: int | None = None) -> Kind:
        """Of what :meth:`read` will give."""
        if self.given.kind == "labels":
            return dataclasses.replace(read_kind(path, limit), channels=1, alpha=False, deep=False)
        if self._plain:
            return super().kind(path, limit)
        height, width = read_side(Side(path), self.given).shape[:2]
        if limit is not None and height * width > limit:
            raise DataError(f"{path}: {width}x{height} pixels are more than the limit; --max-megapixels raises it")
        return Kind(width, height, self.given.channels, deep=True)

    def animation(self, path: Path, limit: int | None = None) -> Animation | None:
        """Label maps and scientific pictures are no animations."""
        return super().animation(path, limit) if self._plain else None

    def output_kind(self, kind: Kind) -> Kind:
        """Label maps have one channel of 8 bits; pictures keep the input's depth and opacity."""
        if self.wanted.kind == "labels":
            return Kind(kind.width, kind.height, channels=1)
        if self.wanted.channels == 4:
            return dataclasses.replace(kind, channels=3, alpha=True)
        alpha = kind.alpha and self.given.channels != 4
        return dataclasses.replace(kind, channels=self.wanted.channels, alpha=alpha)

    def suffix(self, wanted: str, kind: Kind, animation: Animation | None = None) -> str:
        """Label maps are PNG, which keeps values and palette."""
        return ".png" if self.wanted.kind == "labels" else super().suffix(wanted, kind, animation)

    def source(self, picture: Picture) -> TranslationSource:
        """A picture as the network takes it."""
        return TranslationSource(picture, self.given, self.wanted)

    @property
    def _plain(self) -> bool:
        """Whether inputs are what picture files hold."""
        return self.given.kind == "picture" and self.given.depth < 32 and self.given.channels in (1, 3, 4)

    def _stored(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.given.kind == "labels":
            return values[..., None]
        planes = to_network(torch.from_numpy(values)[None], self.given)[0].clamp(0, 1)
        return (planes * 65535).round().permute(1, 2, 0).numpy().astype(np.uint16)

    def _made(self, picture: Picture) -> Picture:
        target = torch.from_numpy(picture.rgb8()).permute(2, 0, 1)[None].float() / 255
        made = MAKERS[self.made](target, SeededDraws(0))[0]
        rows = (made * 255).round().byte().permute(1, 2, 0).numpy()
        if rows.shape[2] == 4:
            return Picture(np.ascontiguousarray(rows[..., :3]), np.ascontiguousarray(rows[..., 3]), picture.metadata)
        return Picture(np.ascontiguousarray(rows), None, dataclasses.replace(picture.metadata, icc=None))


class TranslationSource(FlatSource):
    """Between pictures and class numbers, and what a network of translation takes and gives.

    Raises:
        DataError: a label map is wanted, and this is none, or of other classes.
    """

    def __init__(self, picture: Picture, given: Pixels, wanted: Pixels) -> None:
        super().__init__(picture, 3 if given.channels == 4 else given.channels)
        self.given, self.wanted = given, wanted
        if given.kind == "labels":
            if picture.pixels.shape[2] != 1 or picture.pixels.dtype != np.uint8:
                raise DataError("this model takes label maps: one channel of 8 bits that holds numbers of classes")
            if (highest := int(picture.pixels.max())) >= given.classes:
                raise DataError(f"a label map of this model holds the classes 0 to {given.classes - 1}, not {highest}")

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, planes, h, w) float32 in [0, 1]."""
        if self.given.kind == "labels":
            numbers = torch.from_numpy(self.picture.pixels[top:bottom, left:right, 0].astype(np.int64))
            return one_hot(numbers, self.given.classes).permute(2, 0, 1)[None].float()
        if self.given.channels != 4:
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
        if self.wanted.channels != 4:
            return super().finished(band, kind)
        values = (band[0].clamp(0, 1) * kind.top).round().permute(1, 2, 0).numpy()
        return values.astype(kind.dtype)

    def metadata(self, kind: Kind) -> Metadata:
        """That of the picture; of class numbers their colours."""
        if self.wanted.kind == "labels":
            palette = bytes(value for color in self.wanted.palette() for value in color)
            return Metadata(dpi=self.picture.metadata.dpi, palette=palette)
        return super().metadata(kind)


class Seeded(nn.Module):
    """A network with fixed noise, and with fixed dropout where that is on."""

    def __init__(self, network: nn.Module, seed: int) -> None:
        super().__init__()
        self.network, self.seed = network, seed

    def forward(self, tile: Tensor) -> Tensor:
        """The same noise for every tile, so that a picture is of one piece."""
        with torch.random.fork_rng(devices=[tile.device] if tile.is_cuda else []):
            torch.manual_seed(self.seed)
            channels = int(getattr(self.network, "noise_channels", 0))
            noise = torch.randn(1, channels).to(tile).expand(len(tile), -1)
            output: Tensor = self.network(tile, noise) if channels else self.network(tile)
        return output
