"""Opening a model file of any kind: a bundle of ours, ONNX, or what a plugin knows."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from advtasks.bundle import Manifest, find_bundle, is_bundle, load_bundle
from advtasks.errors import BundleError
from advtasks.plugins import plugins, resolve


def open_model(model: Path) -> tuple[nn.Module, Manifest]:
    """The network of a run folder, a bundle, an ONNX file or a foreign model file, in evaluation mode, on the CPU.

    Raises:
        BundleError: no such file, damaged, unknown, or its plugin is not installed.
    """
    if model.is_dir():
        return load_bundle(find_bundle(model))
    if not model.exists():
        raise BundleError(f"{model}: no such model; give a run folder, a bundle, or a .pth, .safetensors or .onnx file")
    if is_bundle(model):
        return load_bundle(model)
    suffix = model.suffix.lower()
    if suffix == ".onnx":
        from advtasks.inference.onnx_model import open_onnx

        return open_onnx(model)
    refusals = []
    for name, found in plugins().provided("foreign").items():
        if suffix in found.spec.suffixes:
            try:
                network, manifest = resolve(found.spec.open)(model)
            except BundleError as error:
                refusals.append(f"{name}: {error}")
                continue
            return network.eval(), manifest
    if len(refusals) == 1:
        raise BundleError(refusals[0].partition(": ")[2])
    if refusals:
        raise BundleError(f"{model}: no reader knows it:\n  " + "\n  ".join(refusals))
    known = sorted({s for found in plugins().provided("foreign").values() for s in found.spec.suffixes} | {".onnx"})
    raise BundleError(f"{model}: not a model file; known are bundles of advtasks and {', '.join(known)}")
