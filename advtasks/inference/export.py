"""Models for other programs: ONNX, and weights in the layout that the community's tools read. Each is read back and
compared before it is kept."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advtasks.atomic import atomic_path
from advtasks.bundle import Manifest
from advtasks.causes import said
from advtasks.errors import AdvtasksError, BundleError
from advtasks.inference.models import open_model
from advtasks.inference.onnx_model import KEY

SIZES = ((24, 36), (13, 17), (1, 1), (7, 64))
"""Heights and widths on which a file is compared with the network, times what sides must be multiples of."""
_LARGE_MULTIPLE, _FEW = 16, ((1, 2), (2, 1), (1, 1), (1, 3))
"""For networks that want large multiples, whose pictures would be of many megapixels."""
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""Largest difference of a value in [0, 1]."""


def export_onnx(network: nn.Module, manifest: Manifest, path: Path, precision: str = "fp32") -> dict[str, float]:
    """Write an ONNX file with free batch, height and width, and give its largest difference for each size tried.

    Args:
        precision: ``fp16`` stores weights and computes in 16 bit; input and output are 16 bit too.

    Raises:
        BundleError: onnx is not installed, the network cannot be exported, or the file computes something else.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError:
        raise BundleError("exporting to ONNX needs more packages: pip install 'advtasks[onnx]'") from None
    dtype = torch.float16 if precision == "fp16" else torch.float32
    double = deployed(network).to(dtype)
    example = torch.rand(2, manifest.channels, *_sizes(manifest)[0]).to(dtype)
    free = torch.export.Dim.DYNAMIC
    with atomic_path(path) as temporary:
        try:
            program = _quietly(
                torch.onnx.export, double, (example,), dynamo=True, dynamic_shapes=({0: free, 2: free, 3: free},),
                input_names=["input"], output_names=["output"], verbose=False,
            )  # fmt: skip
        except Exception as error:  # the exporter has dozens of ways to fail
            raise BundleError(f"{manifest.generator} cannot be exported to ONNX: {said(error)}") from error
        model = program.model_proto
        _describe(model, manifest, precision)
        onnx.save(model, str(temporary))
        found = compare(network, open_model(temporary)[0], manifest)
        _accept(found, precision)
    return found


def _quietly(function: Any, *arguments: Any, **options: Any) -> Any:
    """torch's exporter warns of its own insides and logs at length."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **options)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _describe(model: Any, manifest: Manifest, precision: str) -> None:
    digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    changed = dataclasses.replace(manifest, sha256=digest, precisions=(precision,))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(dataclasses.asdict(changed))


def export_weights(network: nn.Module, manifest: Manifest, path: Path, precision: str = "fp32") -> dict[str, float]:
    """Write the weights alone as safetensors under the names of the original implementations.

    Gives the largest difference for each size tried, computed by the reader that the community's tools use; empty where
    that reader does not know this network.

    Raises:
        BundleError: the reader takes the weights for another network.
    """
    from safetensors.torch import save_file

    dtype = torch.float16 if precision == "fp16" else torch.float32
    weights = {name: value.to(dtype).contiguous() for name, value in deployed(network).state_dict().items()}
    found: dict[str, float] = {}
    with atomic_path(path) as temporary:
        save_file(weights, temporary)
        try:
            other, known = open_model(temporary)
        except BundleError:
            other = None
        if other is not None:
            if (known.scale, known.channels) != (manifest.scale, manifest.channels):
                raise BundleError(
                    f"{known.generator} x{known.scale} of {known.channels} channels is what other programs take these "
                    f"weights for, and they are of {manifest.generator} x{manifest.scale} of {manifest.channels}; "
                    "nothing was written. For other programs use ONNX"
                )
            found = compare(network, other, manifest)
            _accept(found, precision)
    return found


def deterministic(network: nn.Module) -> nn.Module:
    """The network without what is random in use (dropout that stays on): files have no random numbers, and two draws
    cannot be compared. Itself where nothing is."""
    settled = getattr(network, "deterministic", None)
    return network if settled is None else settled()


def deployed(network: nn.Module) -> nn.Module:
    """A copy for inference: networks that are trained with more branches than they need fold them."""
    fold = getattr(network, "deployed", None)
    return (fold() if fold is not None else copy.deepcopy(network)).eval()


@torch.inference_mode()
def compare(network: nn.Module, other: nn.Module, manifest: Manifest) -> dict[str, float]:
    """The largest difference between the outputs of two networks, clamped to [0, 1], for each of `SIZES`."""
    draws = torch.Generator().manual_seed(0)
    found = {}
    for batch, sides in enumerate(_sizes(manifest), 1):
        given = torch.rand(batch, manifest.channels, *sides, generator=draws)
        outputs: list[Tensor] = [net.eval()(given).float().clamp(0, 1) for net in (network, other)]
        found[f"{batch}x{sides[1]}x{sides[0]}"] = (outputs[0] - outputs[1]).abs().max().item()
    return found


def _sizes(manifest: Manifest) -> list[tuple[int, int]]:
    multiple = manifest.multiple_of
    return [(height * multiple, width * multiple) for height, width in (_FEW if multiple > _LARGE_MULTIPLE else SIZES)]


def _accept(found: dict[str, float], precision: str) -> None:
    worst = [difference for difference in found.values() if not difference <= TOLERANCE[precision]]  # NaN is none
    if worst:
        raise AdvtasksError(
            f"the exported file computes something else: its output is off by {worst[0]:.2g} (at most "
            f"{TOLERANCE[precision]:g} is accepted in {precision}); nothing was written"
        )
