"""An image-to-image model: a bundle's network with what is needed to use it on any picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from advtasks.bundle import Manifest, find_bundle, load_bundle
from advtasks.data.picture import Picture
from advtasks.inference.tiling import run_tiled


class ImageModel:
    """Applies a network to pictures of any size and kind.

    Args:
        network: float (N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale).
        manifest: of its bundle.
        device: where it runs.
        tile: side of tiles in input pixels; chosen from the receptive radius when not given.
    """

    def __init__(
        self,
        network: nn.Module,
        manifest: Manifest,
        device: torch.device | str = "cpu",
        tile: int | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.manifest = manifest
        self.tile = tile

    @classmethod
    def load(cls, model: Path | str, device: torch.device | str = "cpu", tile: int | None = None) -> ImageModel:
        """From a run folder or a bundle.

        Raises:
            BundleError: see :func:`advtasks.bundle.load_bundle`.
        """
        network, manifest = load_bundle(find_bundle(Path(model)))
        return cls(network, manifest, device, tile)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, watch: Callable[[int, int], None] | None = None) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 3, H·scale, W·scale), clamped to [0, 1], float32 on the CPU."""
        output = run_tiled(
            lambda tile: self.network(tile.to(self.device).contiguous(memory_format=torch.channels_last)),
            pictures.float(),
            scale=self.manifest.scale,
            radius=self.manifest.receptive_radius,
            multiple_of=self.manifest.multiple_of,
            tile=self.tile,
            watch=watch,
        )
        return output.clamp_(0, 1)

    def apply(self, picture: Picture, watch: Callable[[int, int], None] | None = None) -> Picture:
        """A picture of any kind to one of the same kind: depth, grey, transparency, profile and EXIF are kept.

        Colour is premultiplied by opacity before the network and divided by it after, so that what lies under
        transparent pixels does not bleed in.
        """
        top = float(np.iinfo(picture.pixels.dtype).max)
        colour = torch.from_numpy(picture.pixels.astype(np.float32) / top).permute(2, 0, 1)[None]
        grey = colour.shape[1] == 1
        if picture.alpha is None:
            output, alpha = self(colour.expand(-1, 3, -1, -1), watch), None
        else:
            opacity = torch.from_numpy(picture.alpha.astype(np.float32) / top)[None, None]
            output = self((colour * opacity).expand(-1, 3, -1, -1), watch)
            alpha = self(opacity.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
            output = torch.where(alpha > 0.5 / top, output / alpha.clamp_min(1e-6), 0.0).clamp(0, 1)
        if grey:
            output = output.mean(1, keepdim=True)

        def stored(values: Tensor) -> np.ndarray:
            return (values * top).round().numpy().astype(picture.pixels.dtype)

        return Picture(
            stored(output[0].permute(1, 2, 0)),
            None if alpha is None else stored(alpha[0, 0]),
            picture.icc,
            picture.exif,
        )
