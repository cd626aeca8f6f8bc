"""ONNX files as networks, through onnxruntime."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advtasks.bundle import Manifest
from advtasks.causes import said
from advtasks.errors import BundleError

KEY = "advtasks"
"""Of the manifest among the file's metadata."""
_SIDE = 32
_PROVIDERS = {"cuda": "CUDAExecutionProvider"}
_TYPES: dict[str, type[np.float32] | type[np.float16]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxNetwork(nn.Module):
    """Runs an ONNX file of one input and one output; (N, C, h, w) to (N, C', h·scale, w·scale), float32.

    It is computed where its input lies, as far as the onnxruntime that is installed can.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.sessions = {"cpu": _session(path, "cpu")}
        (self.input,) = self.sessions["cpu"].get_inputs()
        self.dtype = _TYPES[self.input.type]

    def forward(self, x: Tensor) -> Tensor:
        """One run for the whole batch, or a sample at a time where the file has a fixed batch of 1."""
        if x.device.type not in self.sessions:
            self.sessions[x.device.type] = _session(self.path, x.device.type)
        session = self.sessions[x.device.type]
        given = x.detach().cpu().contiguous().numpy().astype(self.dtype)
        parts = [given] if not isinstance(self.input.shape[0], int) else np.split(given, len(given))
        outputs = [session.run(None, {self.input.name: part})[0] for part in parts]
        return torch.from_numpy(np.concatenate(outputs).astype(np.float32)).to(x.device)


def open_onnx(path: Path) -> tuple[nn.Module, Manifest]:
    """The network of an ONNX file and its manifest; one that was not written by ``advtasks export`` is tried out.

    Raises:
        BundleError: onnxruntime is not installed, or the file is not a picture-to-picture network.
    """
    try:
        import onnxruntime  # noqa: F401 - whether it is there
    except ImportError:
        raise BundleError(f"{path}: ONNX files need onnxruntime: pip install 'advtasks[onnx]'") from None
    try:
        network = OnnxNetwork(path)
        text = network.sessions["cpu"].get_modelmeta().custom_metadata_map.get(KEY)
        if text:
            return network, Manifest.of(json.loads(text), path)
        return network, _tried(path, network)
    except BundleError:
        raise
    except Exception as error:  # onnxruntime has errors of its own for each kind of damage
        raise BundleError(f"{path}: cannot be used ({said(error)})") from error


def _session(path: Path, device: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    usable = [name for name in onnxruntime.get_available_providers() if name == _PROVIDERS.get(device)]
    return onnxruntime.InferenceSession(str(path), options, providers=[*usable, "CPUExecutionProvider"])


def _tried(path: Path, network: OnnxNetwork) -> Manifest:
    shape = network.input.shape
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise BundleError(f"{path}: its input is {shape}, not pictures (N, 1 or 3, height, width)")
    if isinstance(shape[2], int) or isinstance(shape[3], int):
        raise BundleError(f"{path}: made for pictures of {shape[3]}x{shape[2]} only")
    with torch.inference_mode():
        output = network(torch.full((1, shape[1], _SIDE, _SIDE), 0.5)).shape
    scale = output[-1] // _SIDE
    if len(output) != 4 or output[2:] != (scale * _SIDE, scale * _SIDE) or not scale or output[1] not in (1, 3):
        raise BundleError(
            f"{path}: makes {tuple(output)} of {(1, shape[1], _SIDE, _SIDE)}, not a picture of 1 or 3 channels whose "
            "sides are 1, 2, 3, ... times as long"
        )
    return Manifest(
        task="", verb="upscale", plugin="advtasks", plugin_version="", advtasks_version="", generator="onnx",
        hyper_parameters={}, channels=shape[1], out_channels=output[1], scale=scale, receptive_radius=None,
        multiple_of=1, precisions=("fp32",), sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )  # fmt: skip
