"""VGG19 features, for users who have the ImageNet weights as a file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from advtasks.errors import UsageError
from advtasks.features.efficientnet_lite import IMAGENET_MEAN, IMAGENET_STD
from advtasks.features.feature_network import FeatureNetwork
from advtasks.features.weight_files import feature_weights
from advtasks.torchvision_operators import import_torchvision

_LAYERS = {"conv1_2": 2, "conv2_2": 7, "conv3_4": 16, "conv4_4": 25, "conv5_4": 34}
"""Indices in torchvision's ``vgg19().features``: convolutions, so the features are those before the ReLU."""


class VGG19(FeatureNetwork):
    """Features of VGG19 before the ReLU (Simonyan & Zisserman 2015); SRGAN's VGG54 is ``conv5_4``.

    Args:
        weights: a torchvision VGG19 state dict (``vgg19-dcbb9e9d.pth`` or safetensors). It is not downloaded.
        layers: names joined by ``+``, for example ``conv3_4+conv5_4``; Real-ESRGAN takes all five,
            ``conv1_2+conv2_2+conv3_4+conv4_4+conv5_4``. Whatever their order, features come shallow to deep.

    Raises:
        UsageError: no file, or a layer that is not known.
    """

    def __init__(self, weights: str = "", layers: str = "conv5_4") -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        if not weights or not Path(weights).is_file():
            raise UsageError(
                f"vgg19 needs its ImageNet weights as a file, found {weights!r}. Download vgg19-dcbb9e9d.pth from "
                "torchvision's model page and write vgg19:weights=FILE, or use efficientnet-lite0, whose weights "
                "came with pip."
            )
        unknown = [layer for layer in layers.split("+") if layer not in _LAYERS]
        if unknown:
            raise UsageError(f"vgg19 has no layer {unknown[0]!r}; known: {', '.join(_LAYERS)}")
        self.name = f"vgg19-{layers}"
        self.layer_names = tuple(layer for layer in _LAYERS if layer in layers.split("+"))
        self.indices = [_LAYERS[layer] for layer in self.layer_names]
        import_torchvision()
        from torchvision.models import vgg19

        with torch.device("meta"):  # only the convolutions up to the deepest layer are needed
            convolutions = vgg19(weights=None).features[: self.indices[-1] + 1]
        self.layers = convolutions.to_empty(device="cpu")
        self.layers.load_state_dict(feature_weights(Path(weights), set(convolutions.state_dict()), "VGG19"))
        for layer in self.layers:
            if isinstance(layer, torch.nn.ReLU):
                layer.inplace = False
        self.freeze()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The chosen features, shallow to deep."""
        x = self.normalized(pictures)
        found = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.indices:
                found.append(x)
        return found
