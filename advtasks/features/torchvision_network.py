"""Any classifier of torchvision as a backbone, with weights from a file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from advtasks.errors import UsageError, did_you_mean
from advtasks.features.efficientnet_lite import IMAGENET_MEAN, IMAGENET_STD
from advtasks.features.feature_network import Embedding, FeatureNetwork
from advtasks.features.weight_files import read_tensors
from advtasks.torchvision_operators import import_torchvision


class TorchvisionNetwork(FeatureNetwork):
    """What enters the last linear layer, and the logits that leave it.

    Args:
        model: its name in ``torchvision.models``: ``resnet50``, ``convnext_tiny``, ``vit_b_16``.
        weights: its state dict as torchvision's model page offers it. It is not downloaded.
        side: pixels a side that pictures are resized to; what the weights were trained at.

    Raises:
        UsageError: no such classifier, or a file of another one.
    """

    def __init__(self, model: str = "resnet50", weights: str = "", side: int = 224) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        import_torchvision()
        from torchvision import models

        known = models.list_models(module=models)
        if model not in known:
            raise UsageError(f"torchvision has no classifier {model!r}: {did_you_mean(model, known)}")
        if not weights or not Path(weights).is_file():
            raise UsageError(
                f"torchvision:model={model} needs its weights as a file, found {weights!r}. Download them from "
                f"torchvision's model page and write torchvision:model={model}:weights=FILE, or use "
                "efficientnet-lite0, whose weights came with pip."
            )
        state = read_tensors(Path(weights))
        network = models.get_model(model, weights=None)
        linear = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        if not linear:
            raise UsageError(f"torchvision's {model} ends in no linear layer, so it has no features to take")
        last = linear[-1]
        classes = state.get(f"{last}.weight", torch.empty(1000, 1)).shape[0]
        if classes != 1000:
            network = models.get_model(model, weights=None, num_classes=classes)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            cause = str(error).splitlines()[1].strip()[:160]
            raise UsageError(f"{weights}: no state dict of torchvision's {model} ({cause})") from None
        self.network: nn.Module = network
        self.name, self.side = model, side
        self.embeds = f"what enters {last}"
        self.layer_names = (self.embeds,)
        self._entering: list[Tensor] = []
        network.get_submodule(last).register_forward_pre_hook(lambda _, given: self._entering.append(given[0]))
        self.freeze()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features of whole pictures (N, d, 1, 1)."""
        return [self.embedding(pictures).features[..., None, None]]

    def embedding(self, pictures: Tensor) -> Embedding:
        """Features and logits."""
        self._entering.clear()
        logits = self.network(self.normalized(pictures))
        return Embedding(self._entering.pop(), logits)
