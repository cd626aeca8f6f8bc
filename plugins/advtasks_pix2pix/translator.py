"""The engine of ``advtasks translate``, for the command and for Python."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from advtasks.bundle import Manifest
from advtasks.draws import SeededDraws
from advtasks.errors import DataError, UsageError
from advtasks.inference.engine import ImageModel
from advtasks.inference.tiling import Watch
from advtasks.pictures.animation import Animation
from advtasks.pictures.decode import check_size, read_kind
from advtasks.pictures.picture import Kind, Picture
from advtasks.pictures.values import SUFFIXES, values_layout
from advtasks_pix2pix.makers import MAKERS
from advtasks_pix2pix.pairing import Side
from advtasks_pix2pix.pixels import Pixels, to_network
from advtasks_pix2pix.reading import read_side
from advtasks_pix2pix.sources import MadeSource, TranslationSource


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
        self.make_input = make_input
        colors = self.wanted if self.wanted.kind == "picture" and self.wanted.channels == 3 else Pixels()
        self.taken = colors if make_input else self.given
        """What files hold that are given: inputs, or targets that inputs are made from."""
        super().__init__(network if seed is None else Seeded(network, seed), manifest, device, tile, **options)

    def read(self, path: Path, limit: int | None = None) -> Picture:
        """A picture, or class numbers as a grey one of 8 bits; floating-point values and many channels as 16 bit."""
        self._check(path)
        if self._plain:
            return super().read(path, limit)
        self.kind(path, limit)
        return Picture(self._stored(read_side(Side(path), self.taken)))

    def picture(self, image: NDArray[Any] | Image.Image) -> Picture:
        """As :meth:`read`: numbers of classes of a Pillow image with a palette, and the values of an array as they are,
        where the model was trained with measurements."""
        if self.taken.kind == "labels" and isinstance(image, Image.Image) and image.mode == "P":
            return Picture(np.asarray(image)[..., None])
        if isinstance(image, np.ndarray) and self.taken.depth == 32 and image.ndim in (2, 3) and image.size:
            values = image[..., None] if image.ndim == 2 else image
            if values.shape[2] != self.taken.channels or not np.isfinite(values).all():
                raise TypeError(f"an array of finite values in {self.taken.channels} channels, not {image.shape}")
            return Picture(self._stored(values.astype(np.float32)))
        return super().picture(image)

    def kind(self, path: Path, limit: int | None = None) -> Kind:
        """Of what :meth:`read` will give."""
        self._check(path)
        if self.taken.kind == "labels":
            return dataclasses.replace(read_kind(path, limit), channels=1, alpha=False, deep=False)
        if self._plain:
            return super().kind(path, limit)
        layout = values_layout(path)
        check_size(path, (layout.width, layout.height), limit)
        return Kind(layout.width, layout.height, self.taken.channels, deep=True)

    def animation(self, path: Path, limit: int | None = None) -> Animation | None:
        """Label maps and scientific pictures are no animations."""
        return super().animation(path, limit) if self._plain else None

    def output_kind(self, kind: Kind) -> Kind:
        """Label maps have one channel of 8 bits; pictures keep the input's depth and opacity; measurements have the
        depth of the training data, and no opacity beside them."""
        wanted = self.wanted
        if wanted.kind == "labels":
            return Kind(kind.width, kind.height, channels=1)
        if wanted.measured:
            return Kind(kind.width, kind.height, wanted.channels, deep=wanted.depth == 16, real=wanted.depth == 32)
        if wanted.channels == 4:
            return dataclasses.replace(kind, channels=3, alpha=True)
        alpha = kind.alpha and (self.make_input or self.given.channels != 4)
        return dataclasses.replace(kind, channels=wanted.channels, alpha=alpha)

    def suffix(self, wanted: str, kind: Kind, animation: Animation | None = None) -> str:
        """Label maps are PNG, which keeps values and palette."""
        return ".png" if self.wanted.kind == "labels" else super().suffix(wanted, kind, animation)

    def source(self, picture: Picture) -> TranslationSource:
        """A picture as the network takes it."""
        if self.make_input:
            return MadeSource(picture, self.taken, self.wanted, self.made)
        if self._plain and self.given.channels == 1:
            self._tell_grey(picture, "; --make-input makes its input from a picture" if self.made != "none" else "")
        return TranslationSource(picture, self.given, self.wanted)

    def _tensor(self, pictures: Tensor, watch: Watch | None) -> Tensor:
        """Inputs are made of tensors, too."""
        if not self.make_input or pictures.ndim not in (3, 4):
            return super()._tensor(pictures, watch)
        batch = pictures[None] if pictures.ndim == 3 else pictures
        if batch.shape[1] != self.taken.channels:
            raise ValueError(f"this model takes {self.taken.channels} channels, and this has {batch.shape[1]}")
        made = MAKERS[self.made](batch.float().clamp(0, 1), SeededDraws(0))
        return super()._tensor(made[0] if pictures.ndim == 3 else made, watch)

    @property
    def _plain(self) -> bool:
        """Whether what is given is what picture files hold."""
        return self.taken.kind == "picture" and not self.taken.measured

    def _check(self, path: Path) -> None:
        """Raises:
        DataError: the file is of another kind than this model takes; the message names it.
        """
        if self.taken.kind == "labels":
            return
        try:
            tiff = values_layout(path) if path.suffix.lower() in SUFFIXES else None
        except DataError:
            return  # the decoder may know more, or says what is wrong
        found = ""
        if self.taken.measured:
            if tiff is None:
                kind = read_kind(path)
                found = f"{kind.bands} of {'16' if kind.deep else '8'} bit, not in a TIFF"
            elif tiff.channels != self.taken.channels or (tiff.measured and self.taken.depth < 32):
                found = f"{tiff.channels} of {tiff.dtype}"
        elif tiff is not None and (tiff.measured or tiff.channels > 4):
            found = f"{tiff.channels} of {tiff.dtype}"
        if found:
            raise DataError(
                f"{path}: this model takes {self.taken.channels} channels, and this has {found} "
                f"(it was trained with {self.taken.described})"
            )

    def _stored(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.taken.kind == "labels":
            return values[..., None]
        planes = to_network(torch.from_numpy(values)[None], self.taken)[0].clamp(0, 1)
        return (planes * 65535).round().permute(1, 2, 0).numpy().astype(np.uint16)


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
