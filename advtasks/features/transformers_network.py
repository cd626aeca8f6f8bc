"""Any vision model of transformers as a backbone: CLIP, DINOv2, ViT, ConvNeXt."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from advtasks.errors import UsageError
from advtasks.features.efficientnet_lite import IMAGENET_MEAN, IMAGENET_STD
from advtasks.features.feature_network import Embedding, FeatureNetwork
from advtasks.torchvision_operators import import_torchvision


class TransformersNetwork(FeatureNetwork):
    """The image embedding of a dual encoder, the pooled output of another model, or else its first token.

    Args:
        model: a folder that ``save_pretrained`` wrote, or the name of a model that the hub's cache holds. Its
            preprocessor's mean, deviation and size are taken; whole pictures are resized to that square, not cropped.

    Raises:
        UsageError: it cannot be loaded, or has no vision part.
    """

    def __init__(self, model: str = "") -> None:
        network = load_pretrained(model, "AutoModel")
        settings = _preprocessor(network.config._name_or_path or model)
        config = getattr(network.config, "vision_config", network.config)
        super().__init__(
            tuple(settings.get("image_mean", IMAGENET_MEAN)), tuple(settings.get("image_std", IMAGENET_STD))
        )
        if not hasattr(config, "num_channels"):
            raise UsageError(f"{model}: a {type(network).__name__} takes no pictures")
        self.network = network
        self.name, self.source = Path(model).name, model
        size = settings.get("crop_size") or settings.get("size") or getattr(config, "image_size", 224)
        self.side = int(_side(size))
        self.dual = hasattr(network, "get_image_features")
        self.embeds = "image embedding" if self.dual else "pooled output"
        self.layer_names = (self.embeds,)
        self.freeze()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features of whole pictures (N, d, 1, 1)."""
        return [self.embedding(pictures).features[..., None, None]]

    def embedding(self, pictures: Tensor) -> Embedding:
        """(N, d)."""
        pixels = self.normalized(pictures)
        if self.dual:
            return Embedding(pooled(self.network.get_image_features(pixel_values=pixels)))
        return Embedding(pooled(self.network(pixel_values=pixels)))


def pooled(found: Any) -> Tensor:
    """The vector of a model's output: itself, its pooled output, or its first token."""
    if isinstance(found, Tensor):
        return found.flatten(1)
    output = getattr(found, "pooler_output", None)
    chosen: Tensor = found.last_hidden_state[:, 0] if output is None else output
    return chosen.flatten(1)


def load_pretrained(
    model: str, kind: str, instead: str = "a network whose weights came with pip is efficientnet-lite0"
) -> Any:
    """A model, tokenizer or processor of transformers by its ``Auto`` class `kind`. What lies in the hub's cache is
    taken without asking the hub.

    Args:
        instead: what works without; for the message.

    Raises:
        UsageError: it is not there, or not readable.
    """
    if not model:
        raise UsageError("name a model: transformers:model=FOLDER, where save_pretrained wrote one, or its hub name")
    import_torchvision()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    load = getattr(transformers, kind).from_pretrained
    try:
        if not Path(model).exists():
            with contextlib.suppress(OSError, ValueError, KeyError):
                return load(model, local_files_only=True)
        return load(model)
    except (OSError, ValueError, KeyError) as error:
        cause = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{model}: transformers cannot load it ({cause}). Without a network a model must be a folder, or lie in "
            f"the hub's cache; {instead}"
        ) from None


def _preprocessor(model: str) -> dict[str, Any]:
    """What is done to pictures, from the folder's ``preprocessor_config.json``."""
    file = Path(model) / "preprocessor_config.json"
    if not file.is_file():
        if Path(model).is_dir():
            return {}
        settings: dict[str, Any] = load_pretrained(model, "AutoImageProcessor").to_dict()
        return settings
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _side(size: Any) -> int:
    if isinstance(size, dict):
        return int(size.get("height") or size.get("shortest_edge") or 224)
    return int(size[0] if isinstance(size, (list, tuple)) else size)
