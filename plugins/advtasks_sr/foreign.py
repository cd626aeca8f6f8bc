"""Community models (``.pth``, ``.safetensors``): spandrel recognises their architecture from the weights."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from advtasks.bundle import Manifest
from advtasks.causes import said
from advtasks.errors import BundleError
from advtasks.torchvision_operators import import_torchvision
from advtasks.weight_files import read_weights


class Community(nn.Module):
    """A network that spandrel made, with the padding that it needs.

    Args:
        descriptor: spandrel's ImageModelDescriptor.
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.model = descriptor.model

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) in [0, 1] to (N, C', h·scale, w·scale) in [0, 1]."""
        output: Tensor = self.descriptor(x)
        return output

    def deployed(self) -> nn.Module:
        """A copy of the network alone, for export."""
        return copy.deepcopy(self.model)


def open_community_model(path: Path) -> tuple[nn.Module, Manifest]:
    """The network of a weights file, and what can be known of it.

    Pickles are read with ``weights_only=True``: one that would run code is refused.

    Raises:
        BundleError: it is not a weights file, would run code, or its architecture is not known.
    """
    weights = read_weights(path)
    import_torchvision()
    import spandrel

    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(weights))
    except Exception as error:  # each architecture's reader has errors of its own
        raise BundleError(
            f"{path}: spandrel {spandrel.__version__} recognises no architecture in it ({said(error, 160)})"
        ) from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise BundleError(f"{path}: {descriptor.architecture.name} takes more than a picture; it cannot be used here")
    if descriptor.tiling is spandrel.ModelTiling.INTERNAL:
        raise BundleError(f"{path}: {descriptor.architecture.name} cuts pictures into tiles itself")
    half = ["bf16"] * descriptor.supports_bfloat16 + ["fp16"] * descriptor.supports_half
    needs = descriptor.size_requirements
    return Community(descriptor), Manifest(
        task="",
        verb="upscale" if descriptor.scale > 1 else "restore",
        plugin="spandrel",
        plugin_version=spandrel.__version__,
        advtasks_version="",
        generator=descriptor.architecture.name,
        hyper_parameters={"tags": list(descriptor.tags)},
        channels=descriptor.input_channels,
        scale=descriptor.scale,
        receptive_radius=None,
        multiple_of=max(needs.multiple_of, 1),
        precisions=("fp32", *half),
        training_data="not stated in the file",
        licence="not stated in the file; look where you got it",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
