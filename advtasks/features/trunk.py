"""AlexNet and VGG16 behind their ReLUs: the trunks of LPIPS and DISTS, for users who have the ImageNet weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from advtasks.errors import UsageError
from advtasks.features.efficientnet_lite import IMAGENET_MEAN, IMAGENET_STD
from advtasks.features.feature_network import FeatureNetwork
from advtasks.features.weight_files import feature_weights
from advtasks.torchvision_operators import import_torchvision
from advtasks.wide import at_least_float32

TrunkName = Literal["alexnet", "vgg16"]
FILES = {"alexnet": "alexnet-owt-7be5be79.pth", "vgg16": "vgg16-397923af.pth"}
"""What torchvision's model page offers."""
CHANNELS = {"alexnet": (64, 192, 384, 256, 256), "vgg16": (64, 128, 256, 512, 512)}
_ENDS = {"alexnet": (1, 4, 7, 9, 11), "vgg16": (3, 8, 15, 22, 29)}
"""Indices of ReLUs in torchvision's ``features``: relu1 to relu5; relu1_2, 2_2, 3_3, 4_3 and 5_3."""


class Trunk(FeatureNetwork):
    """Five features behind ReLUs.

    Args:
        network: ``alexnet`` (Krizhevsky 2014) or ``vgg16`` (Simonyan & Zisserman 2015).
        weights: a torchvision state dict of it (``.pth`` or ``.safetensors``). It is not downloaded.
        pooling: ``max`` as trained; ``l2``: ``sqrt(g * x²)`` with a 3×3 Hann window g, which does not alias (DISTS:
            Ding et al. 2020, section 3).

    Raises:
        UsageError: no file, or another one.
    """

    def __init__(self, network: TrunkName, weights: str, pooling: Literal["max", "l2"] = "max") -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        if not weights or not Path(weights).is_file():
            raise UsageError(
                f"the ImageNet weights of {network} are wanted as a file, found {weights!r}. Download {FILES[network]} "
                "from torchvision's model page and write trunk=FILE; the distance on efficientnet-lite2 needs no file"
            )
        self.name = network
        self.layer_names = tuple(f"relu{number}" for number in range(1, 6))
        self.ends = _ENDS[network]
        import_torchvision()
        from torchvision import models

        with torch.device("meta"):
            layers = getattr(models, network)(weights=None).features[: self.ends[-1] + 1]
        self.layers = layers.to_empty(device="cpu")
        self.layers.load_state_dict(feature_weights(Path(weights), set(layers.state_dict()), network))
        for number, layer in enumerate(self.layers):
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
            elif pooling == "l2" and isinstance(layer, nn.MaxPool2d):
                self.layers[number] = L2Pooling()
        self.freeze()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The five features, shallow to deep."""
        x = self.normalized(pictures)
        found = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.ends:
                found.append(x)
        return found


class L2Pooling(nn.Module):
    """``sqrt(g * x² + 1e-12)`` at every second place, g a normalised 3×3 Hann window (Hénaff & Simoncelli 2016)."""

    def __init__(self) -> None:
        super().__init__()
        hann = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", torch.outer(hann, hann)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ⌈H/2⌉, ⌈W/2⌉)."""
        channels, wide = x.shape[1], at_least_float32(x)
        window = self.get_buffer("window").to(wide.dtype).expand(channels, -1, -1, -1)
        with torch.autocast(x.device.type, enabled=False):
            pooled = (conv2d(wide.square(), window, stride=2, padding=1, groups=channels) + 1e-12).sqrt()
        return pooled.to(x.dtype)
