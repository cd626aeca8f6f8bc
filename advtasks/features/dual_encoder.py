"""Pictures and texts in one space: CLIP and its like, from transformers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from advtasks.errors import UsageError
from advtasks.features.feature_network import FeatureNetwork
from advtasks.features.transformers_network import TransformersNetwork, load_pretrained, pooled

_OPENAI = tuple(f"openai/clip-vit-{size}" for size in ("base-patch32", "base-patch16", "large-patch14",
                                                       "large-patch14-336"))  # fmt: skip
_BATCH = 64


class DualEncoder:
    """The texts' side of a network that embeds both.

    Args:
        network: ``transformers:model=...`` of a dual encoder; it embeds the pictures.

    Raises:
        UsageError: it embeds no texts.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        if not isinstance(network, TransformersNetwork) or not hasattr(network.network, "get_text_features"):
            raise UsageError(
                f"{network.name} embeds no texts: a dual encoder such as CLIP is wanted, --dual-encoder "
                "transformers:model=FOLDER"
            )
        self.network = network
        self.tokenizer = load_pretrained(network.source, "AutoTokenizer")

    @property
    def score_name(self) -> str:
        """CLIP score, of OpenAI's weights by their hub names; else with the name of the network."""
        return "CLIP score" if self.network.source in _OPENAI else f"CLIP score on {self.network.name}"

    @torch.inference_mode()
    def texts(self, captions: Sequence[str]) -> Tensor:
        """(N, d) on the CPU; what is longer than the encoder takes is cut."""
        device = self.network.get_buffer("mean").device
        limit = getattr(self.network.network.config, "text_config", self.network.network.config)
        found = []
        for start in range(0, len(captions), _BATCH):
            tokens = self.tokenizer(
                list(captions[start : start + _BATCH]), padding=True, truncation=True, return_tensors="pt",
                max_length=limit.max_position_embeddings,
            )  # fmt: skip
            taken = {key: tokens[key].to(device) for key in ("input_ids", "attention_mask")}
            found.append(pooled(self.network.network.get_text_features(**taken)).float().cpu())
        return torch.cat(found)
