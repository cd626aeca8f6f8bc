"""Tensors from files that users have; nothing is downloaded and nothing is unpickled but tensors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from advtasks.errors import BundleError, UsageError
from advtasks.weight_files import read_weights

if TYPE_CHECKING:
    from advtasks.features.feature_network import FeatureNetwork


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The state dict of a ``.safetensors`` file, or of a PyTorch file that holds nothing but one.

    Raises:
        UsageError: the file holds something else.
    """
    try:
        state = read_weights(file)
    except BundleError as error:
        raise UsageError(str(error)) from None
    if not isinstance(state, dict):
        raise UsageError(f"{file}: holds a {type(state).__name__}, not a state dict")
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}


def feature_weights(file: Path, wanted: set[str], network: str) -> dict[str, Tensor]:
    """The tensors `wanted` of ``features.*`` in a state dict of torchvision's `network`.

    Raises:
        UsageError: the file is not one.
    """
    found = {key.removeprefix("features."): value for key, value in read_tensors(file).items()}
    if missing := wanted - found.keys():
        raise UsageError(f"{file}: no {network} state dict of torchvision (features.{min(missing)} is missing)")
    return {key: found[key] for key in wanted}


def weights_hash(network: nn.Module) -> str:
    """SHA-256 of all weights and buffers of whatever type, 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def recipe_hash(network: FeatureNetwork) -> str:
    """Of all that decides what :meth:`FeatureNetwork.embedding` gives of a picture: the weights, the mean and deviation
    that pictures are normalized by, their side, and which features are taken."""
    digest = hashlib.sha256(weights_hash(network).encode())
    for part in (preprocessing(network), str(network.side), network.embeds):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()[:12]


def preprocessing(network: FeatureNetwork) -> str:
    """How pictures in [0, 1] are normalized, for protocols."""
    mean, deviation = (
        " ".join(f"{value:.6g}" for value in network.get_buffer(name).flatten().tolist()) for name in ("mean", "std")
    )
    return f"mean {mean}, deviation {deviation}"
