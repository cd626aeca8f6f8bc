"""Inception-v3 as TensorFlow's graph of 2015 computes it: the network of FID, KID and the Inception score."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from advtasks.errors import UsageError
from advtasks.features.feature_network import Embedding, FeatureNetwork
from advtasks.features.weight_files import read_tensors
from advtasks.torchvision_operators import import_torchvision

PUBLISHED = "6726825d"
"""How the SHA-256 of the converted weights begins that pytorch-fid and torch-fidelity offer."""
_AVERAGED = ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b")
"""Blocks whose average pooling must not count its zero padding."""


class InceptionV3(FeatureNetwork):
    """Pooled features (N, 2048) and logits of 1008 classes, without their bias, as the Inception score takes them
    (Salimans et al. 2016).

    torchvision's network (Szegedy et al. 2016) with the two differences of TensorFlow's: average pooling that does not
    count padding, and maximum pooling in the last block. Pictures are resized by Pillow's bicubic filter instead of
    TensorFlow's bilinear one without antialiasing, so with the published weights the Fréchet distance is clean-FID
    (Parmar et al. 2022), not the older FID.

    Args:
        weights: ``pt_inception-2015-12-05-6726825d.pth`` of pytorch-fid's releases, or torch-fidelity's
            ``weights-inception-2015-12-05-6726825d.pth``. It is not downloaded.

    Raises:
        UsageError: no file, or another one.
    """

    side = 299
    embeds = "pool_3, 2048 values"

    def __init__(self, weights: str = "") -> None:
        super().__init__((128 / 255,) * 3, (128 / 255,) * 3)
        if not weights or not Path(weights).is_file():
            raise UsageError(
                f"inception-v3 needs TensorFlow's weights as a file, found {weights!r}. Download "
                "pt_inception-2015-12-05-6726825d.pth from pytorch-fid's releases and write "
                "inception-v3:weights=FILE, or use efficientnet-lite0, whose weights came with pip."
            )
        import_torchvision()
        from torchvision.models import inception_v3

        with torch.device("meta"):
            network = inception_v3(
                weights=None, aux_logits=False, num_classes=1008, transform_input=False, init_weights=False
            )
        self.network = network.to_empty(device="cpu")
        wanted = {key for key in network.state_dict() if not key.endswith("num_batches_tracked")}
        found = read_tensors(Path(weights))
        if missing := wanted - found.keys():
            raise UsageError(f"{weights}: not the Inception-v3 of TensorFlow ({min(missing)} is missing)")
        try:
            self.network.load_state_dict({key: found[key] for key in wanted}, strict=False)
        except RuntimeError as error:
            cause = str(error).splitlines()[-1].strip()
            raise UsageError(f"{weights}: not the Inception-v3 of TensorFlow ({cause})") from None
        for block in _AVERAGED:
            getattr(self.network, f"Mixed_{block}").register_forward_hook(_average_without_padding)
        self.network.Mixed_7c.register_forward_hook(_maximum)
        self._seen: list[Tensor] = []
        self.network.avgpool.register_forward_hook(lambda _, __, pooled: self._seen.append(pooled))
        self.name = "inception-v3"
        self.layer_names = ("pool_3",)
        with Path(weights).open("rb") as file:
            original = hashlib.file_digest(file, "sha256").hexdigest().startswith(PUBLISHED)
        if original:
            self.published = {"frechet": "clean-FID", "kernel": "clean-KID", "inception_score": "Inception score"}
        self.freeze()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The pooled features (N, 2048, 1, 1)."""
        self.network(self.normalized(pictures))
        return [self._seen.pop()]

    def embedding(self, pictures: Tensor) -> Embedding:
        """Pooled features and logits without bias."""
        features = self(pictures)[0].flatten(1)
        return Embedding(features, features @ self.network.fc.weight.T)


def _pool_branch(block: nn.Module, output: Tensor, pooled: Tensor) -> Tensor:
    """The block's output with its last branch computed again from another pooling."""
    branch: Any = block.branch_pool
    return torch.cat((output[:, : -branch.conv.out_channels], branch(pooled)), 1)


def _average_without_padding(block: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
    return _pool_branch(block, output, avg_pool2d(given[0], 3, stride=1, padding=1, count_include_pad=False))


def _maximum(block: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
    return _pool_branch(block, output, max_pool2d(given[0], 3, stride=1, padding=1))
