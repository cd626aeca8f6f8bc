"""Reading the weights that other programs wrote: tensors, and nothing that could run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from advtasks.errors import BundleError


def read_weights(path: Path) -> Any:
    """What a ``.safetensors`` or PyTorch file holds, on the CPU.

    Raises:
        BundleError: damaged, or a pickle that would run code.
    """
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except Exception as error:  # safetensors' own error, or one of the system
            raise BundleError(f"{path}: not a safetensors file ({error})") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for damaged files
        cause = " ".join(str(error).split())
        if isinstance(error, pickle.UnpicklingError) and "global" in cause.lower():
            raise BundleError(
                f"{path}: holds more than weights and was not opened, since loading it could run code ({cause[-200:]})"
            ) from None
        raise BundleError(f"{path}: not a PyTorch weights file ({cause[:160]})") from error
