"""An image-to-image model: a network with what is needed to use it on any picture."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from advtasks.bundle import Manifest
from advtasks.devices import choose_device
from advtasks.inference.blending import Blender
from advtasks.inference.cost import MARGIN, available, bytes_per_pixel
from advtasks.inference.ensemble import over_turns
from advtasks.inference.frugal import AREAS, frugal
from advtasks.inference.images import from_array, to_array, to_pillow
from advtasks.inference.models import open_model
from advtasks.inference.once import once
from advtasks.inference.reach import effective_radius
from advtasks.inference.resample import resampled
from advtasks.inference.runner import Runner
from advtasks.inference.tensors import PictureSource, beyond_gamut, enlarged
from advtasks.inference.tiling import Geometry, Source, Tiler, Watch, Whole, telling
from advtasks.pictures.animation import Animation, read_animation
from advtasks.pictures.decode import from_pillow, read_kind, read_picture, split
from advtasks.pictures.encode import output_suffix
from advtasks.pictures.metadata import for_size
from advtasks.pictures.picture import Kind, Metadata, Picture, assembled

_FAR = 64
"""A declared radius above this is measured: what far pixels do is nothing for most networks."""
_ROWS = 128
"""Output rows that are converted and handed on at a time."""
_BANDS = 0.4
"""Share of the memory for the output of a row of tiles; the rest is for the network."""
_LEAST = 64 * 64
"""Input pixels of a tile however little memory there seems to be: smaller ones are all context. What does not fit is
halved."""


class ImageModel:
    """Applies a network to pictures of any size and kind. Safe to use from several threads: calls take turns.

    Args:
        network: float (N, channels, h, w) in [0, 1] to (N, channels, h·scale, w·scale).
        manifest: what is known of it.
        device: where it runs; ``auto`` is a GPU where there is one.
        tile: side of tiles in input pixels; chosen from the memory at hand when not given.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``; see :class:`advtasks.inference.runner.Runner`.
        max_memory: bytes that this process may have in memory.
        ensemble: average over the eight turned and mirrored versions of each tile (Timofte et al. 2016, section 3.2).
        compile: compile the network for tiles that come often, where that is measured to pay.
        say: told what the user should know, each thing once.
    """

    def __init__(
        self,
        network: nn.Module,
        manifest: Manifest,
        device: torch.device | str = "cpu",
        tile: int | None = None,
        *,
        precision: str = "fp32",
        max_memory: int | None = None,
        ensemble: bool = False,
        compile: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.manifest, self.say = manifest, once(say)
        self.device = choose_device(device) if device == "auto" else torch.device(device)
        self.tile, self.max_memory, self.ensemble = tile, max_memory, ensemble
        self.network = network
        self.runner = Runner(network, self.device, _supported(precision, manifest), self.say, compile)
        self._geometry: Geometry | None = None
        self._cost: int | None = None
        self._lock = threading.RLock()

    @classmethod
    def load(
        cls, model: Path | str, device: torch.device | str = "auto", tile: int | None = None, **options: Any
    ) -> Self:
        """From a run folder, a bundle, an ONNX file, or a community model (``.pth``, ``.safetensors``); on a GPU where
        there is one, in float32 unless `precision` says otherwise.

        Raises:
            BundleError: see :func:`advtasks.inference.models.open_model`.
        """
        network, manifest = open_model(Path(model))
        return cls(network, manifest, device, tile, **options)

    @overload
    def __call__(self, image: Tensor, watch: Watch | None = None) -> Tensor: ...
    @overload
    def __call__(self, image: NDArray[Any], watch: Watch | None = None) -> NDArray[Any]: ...
    @overload
    def __call__(self, image: Image.Image, watch: Watch | None = None) -> Image.Image: ...
    @overload
    def __call__(self, image: Picture, watch: Watch | None = None) -> Picture: ...
    @overload
    def __call__(self, image: Path | str, watch: Watch | None = None) -> Image.Image: ...
    def __call__(self, image: Any, watch: Watch | None = None) -> Any:
        """The network's output for an image, of the same kind as that.

        Args:
            image: a tensor (N, C, H, W) or (C, H, W) in [0, 1] (the output is float32, on the CPU, clamped); an array
                (H, W) or (H, W, 1, 3 or 4) of uint8 or uint16; a Pillow image or the path of one (gives a Pillow image;
                16 bit are kept for grey); a :class:`~advtasks.pictures.picture.Picture`.
            watch: called with tiles done and tiles in all.

        Raises:
            DataError: a path that is not a picture.
            TypeError: something else.
            ValueError: an array or tensor without pixels, or of another shape.
        """
        if isinstance(image, Tensor):
            return self._tensor(image, watch)
        if isinstance(image, Picture):
            return self.apply(image, watch)
        if isinstance(image, np.ndarray):
            return to_array(self.apply(self.picture(image), watch), image.ndim)
        if isinstance(image, Image.Image):
            return to_pillow(self.apply(self.picture(image), watch))
        if isinstance(image, (str, Path)):
            return to_pillow(self.apply(self.read(Path(image)), watch))
        raise TypeError(f"an image is a tensor, an array, a Pillow image, a Picture or a path, not {type(image)}")

    def picture(self, image: NDArray[Any] | Image.Image) -> Picture:
        """What an array or a Pillow image shows; errors are those of a call."""
        return from_array(image) if isinstance(image, np.ndarray) else from_pillow(image)

    def apply(self, picture: Picture, watch: Watch | None = None, size: tuple[int, int] | None = None) -> Picture:
        """A picture of any kind to one of the same kind: depth, grey, transparency and metadata are kept."""
        kind, metadata, blocks = self.blocks(picture, watch, size)
        return split(assembled(kind, blocks), kind.alpha, for_size(metadata, kind.width, kind.height))

    def blocks(
        self, picture: Picture, watch: Watch | None = None, size: tuple[int, int] | None = None
    ) -> tuple[Kind, Metadata, Iterator[NDArray[Any]]]:
        """What the output will be, what is said about it, and its rows from top to bottom as they are computed: (rows,
        width, bands).

        Args:
            size: width and height wanted, where that is not the network's own: resized at the end, antialiased.
        """
        source = self.source(picture)
        if source.color.problem:
            self.say(f"colour profile kept, but not converted to sRGB for the network: {source.color.problem}")
        kind = self.output_kind(picture.kind)
        own = (kind.width, kind.height)
        kind = kind.resized(*(size or own))
        bands = resampled(self.bands(source, source.layers, watch), own, size or own)
        return kind, source.metadata(kind), (source.finished(band, kind) for band in bands)

    def read(self, path: Path, limit: int | None = None) -> Picture:
        """A file as this model takes it; see :func:`advtasks.pictures.decode.read_picture`."""
        return read_picture(path, limit)

    def kind(self, path: Path, limit: int | None = None) -> Kind:
        """Of what :meth:`read` will give, from the header alone."""
        return read_kind(path, limit)

    def animation(self, path: Path, limit: int | None = None) -> Animation | None:
        """Frames and timing of a file that has several pictures, from its header."""
        return read_animation(path, limit)

    def suffix(self, wanted: str, kind: Kind, animation: Animation | None = None) -> str:
        """Of a result: the one wanted, or one that can hold it (:func:`advtasks.pictures.encode.output_suffix`)."""
        return output_suffix(wanted, kind, animation)

    def output_kind(self, kind: Kind) -> Kind:
        """Of the output for a picture of some kind, at the network's own size."""
        scaled = kind.resized(kind.width * self.manifest.scale, kind.height * self.manifest.scale)
        same = self._channels_out == self.manifest.channels
        return scaled if same else dataclasses.replace(scaled, channels=self._channels_out)

    def source(self, picture: Picture) -> PictureSource:
        """A picture as the network takes it."""
        if self.manifest.channels == 1:
            self._tell_grey(picture)
        return PictureSource(picture, self.manifest.channels)

    def _tell_grey(self, picture: Picture, way: str = "") -> None:
        """Say that colours are lost; `way` is how they need not be."""
        if picture.in_colour():
            self.say(f"pictures in colour are made grey first, as the model takes one channel{way}")

    def bands(self, source: Source, layers: int = 1, watch: Watch | None = None) -> Iterator[Tensor]:
        """The network's output for a source, from top to bottom: (N, C, rows, W·scale), float32 on the CPU."""
        with self._lock:
            if self.runner.undecided:
                self.runner.check(telling(source, self.manifest.multiple_of))
            tiler = self.tiler(source, layers)
        bands = tiler.bands(watch)
        while True:
            with self._lock, torch.inference_mode():
                band = next(bands, None)
            if band is None:
                return
            yield from band.split(_ROWS, dim=2)  # what follows works on few rows, so it needs little memory

    def tiler(self, source: Source, layers: int = 1) -> Tiler | Blender:
        """How a source will be cut."""
        geometry = self.geometry(source.height * source.width)
        if self.tile is not None:
            shape = (self.tile, self.tile)
        else:
            area = self.area(layers)
            if geometry.radius is None:
                side = int(area**0.5)
                shape = (source.height, source.width) if source.height * source.width <= area else (side, side)
            else:
                a_row = source.width * geometry.scale**2 * self._channels_out * layers * 4
                rows = max(int(self.memory() * _BANDS) // a_row, 1)
                return frugal(self._network, source, geometry, area, rows, self.say, self.device.type)
        if geometry.radius is not None:
            return Tiler(self._network, source, geometry, shape)
        blender = Blender(self._network, source, geometry, shape)
        if blender.tiles > 1:
            self.say(blender.doubt)
        return blender

    def area(self, layers: int = 1) -> int:
        """Input pixels of a tile, context included, for which there is memory."""
        if self._cost is None:
            counted = bytes_per_pixel(self.network, self.manifest.channels, self.manifest.multiple_of)
            self._cost = int(counted * MARGIN) + 16 * self._channels_out * self.manifest.scale**2
        free = available(self.device) if self.device.type == "cuda" else int(self.memory() * (1 - _BANDS))
        return max(min(free // (self._cost * layers), AREAS[-1]), _LEAST)

    @property
    def _channels_out(self) -> int:
        return self.manifest.out_channels or self.manifest.channels

    def memory(self) -> int:
        """Bytes that may be taken now, of the machine's memory: for output, and on a CPU for tiles, too."""
        return available(torch.device("cpu"), self.max_memory)

    def geometry(self, pixels: int | None = None) -> Geometry:
        """Of the network. A radius that is not declared, or larger than useful, is measured when a picture needs it:
        one that fits into memory as a whole needs none."""
        manifest = self.manifest
        declared = Geometry(manifest.scale, manifest.receptive_radius, manifest.multiple_of)
        if declared.radius is not None and declared.radius <= _FAR:
            return declared
        if self._geometry is None:
            if self.tile is None and pixels is not None and pixels <= self.area():
                return declared
            self.say("measuring how far this network looks")
            found = effective_radius(self.runner.network, manifest.scale, manifest.channels, manifest.multiple_of)
            radius = min((r for r in (found, declared.radius) if r is not None), default=None)
            self._geometry = Geometry(manifest.scale, radius, manifest.multiple_of)
        return self._geometry

    def seconds_a_pixel(self, source: Source) -> float:
        """Time for an input pixel, measured on a part of a picture."""
        part = telling(source, self.manifest.multiple_of)
        self.runner.check(part)
        self._network(part).cpu()
        start = time.perf_counter()
        self._network(part).cpu()  # as a tile is; a GPU is not waited for otherwise
        return (time.perf_counter() - start) / (part.shape[0] * part.shape[-2] * part.shape[-1])

    def _tensor(self, pictures: Tensor, watch: Watch | None) -> Tensor:
        if pictures.ndim not in (3, 4) or not pictures.numel():
            raise ValueError(f"a tensor is (N, C, H, W) or (C, H, W), with pixels, not {tuple(pictures.shape)}")
        batch = pictures[None] if pictures.ndim == 3 else pictures
        if batch.shape[1] != self.manifest.channels:
            raise ValueError(f"this model takes {self.manifest.channels} channels, and this has {batch.shape[1]}")
        output = torch.cat(list(self.bands(Whole(batch.float()), len(batch), watch)), dim=2).clamp_(0, 1)
        return output[0] if pictures.ndim == 3 else output

    def _network(self, tile: Tensor) -> Tensor:
        """A tile through the network; colours outside of its range go around it."""
        rest = beyond_gamut(tile)
        inside = tile.clamp(0, 1)
        output = over_turns(self.runner, inside) if self.ensemble else self.runner(inside)
        return output if rest is None else output + enlarged(rest.to(output.device), self.manifest.scale)


def _supported(precision: str, manifest: Manifest) -> str:
    """``auto`` is float32 for a network that does not support the half precision it would take."""
    return "fp32" if precision == "auto" and "bf16" not in manifest.precisions else precision
