"""Generators of pytorch-CycleGAN-and-pix2pix (``latest_net_G.pth``): U-Nets and ResNets, recognised by their keys."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn, zeros_like

from advtasks.bundle import Manifest
from advtasks.errors import BundleError
from advtasks.weight_files import read_weights
from advtasks_pix2pix.generators import ResNet, UNet

_NESTED = "model.model."
_LEVEL = "1.model."
_BLOCK = re.compile(r"model\.(\d+)\.conv_block\.(\d+)\.")

Weights = dict[str, Tensor]


def open_generator(path: Path) -> tuple[nn.Module, Manifest]:
    """A U-Net or ResNet generator of pytorch-CycleGAN-and-pix2pix, with transposed convolutions.

    Batch norm takes the statistics of the picture at hand, as that program's test script does unless it is told
    ``--eval``. Its dropout at test time, which makes outputs random, is left away.

    Raises:
        BundleError: not weights, or not of such a generator.
    """
    weights = read_weights(path)
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise BundleError(f"{path}: holds something else than one network's weights")
    weights = {key.removeprefix("module."): value for key, value in weights.items()}
    if f"{_NESTED}0.weight" not in weights and not any(map(_BLOCK.match, weights)):
        raise BundleError(f"{path}: not a U-Net or ResNet generator of pytorch-CycleGAN-and-pix2pix")
    try:
        name, options, found = _unet(weights) if f"{_NESTED}0.weight" in weights else _resnet(weights)
        network: nn.Module = {"unet": UNet, "resnet": ResNet}[name](**options)
        if options["norm"] == "none":  # ours have biases there
            found = {k: zeros_like(v) for k, v in network.state_dict().items() if k.endswith(".bias")} | found
        network.load_state_dict(found)
    except (KeyError, IndexError, RuntimeError) as error:
        raise BundleError(
            f"{path}: looks like a generator of pytorch-CycleGAN-and-pix2pix, but is none ({str(error)[:300]})"
        ) from None
    return network.eval(), Manifest(
        task="",
        verb="translate",
        plugin="advtasks",
        plugin_version="",
        advtasks_version="",
        generator=name,
        hyper_parameters=options,
        channels=options["in_channels"],
        out_channels=options["out_channels"],
        scale=1,
        receptive_radius=None,
        multiple_of=int(network.multiple_of),  # type: ignore[arg-type]
        training_data="not stated in the file",
        licence="not stated in the file; look where you got it",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _common(norm: str, first: Tensor, outputs: int) -> dict[str, Any]:
    return {
        "in_channels": first.shape[1],
        "out_channels": outputs,
        "width": first.shape[0],
        "norm": norm,
        "upsample": "transposed",
        "test_time": "paper",
    }


def _norm(weights: Weights, place: str, before: str) -> str:
    """Batch norm has weights; what instance norm stored in old versions is not used. That program's convolutions have
    biases before an instance norm alone.

    Args:
        place, before: of a norm, and of the convolution in front of it.
    """
    if f"{place}.weight" in weights:
        return "batch"
    return "instance" if f"{before}.bias" in weights else "none"


def _unet(weights: Weights) -> tuple[str, dict[str, Any], Weights]:
    """Each level lies within the one above it."""
    levels = 1
    while any(key.startswith(_NESTED + _inner(levels)) for key in weights):
        levels += 1
    places: dict[str, str] = {}
    for level in range(levels):
        prefix = _NESTED + _inner(level)
        if level == 0:
            down, up, norms = "0", "3", {}
        elif level == levels - 1:
            down, up, norms = "1", "3", {"up_norm": "4"}
        else:
            down, up, norms = "1", "5", {"down_norm": "2", "up_norm": "6"}
        for own, theirs in {"down": down, "up": up, **norms}.items():
            places[f"{own}.{level}"] = prefix + theirs
    norm = _norm(weights, places[f"up_norm.{levels - 1}"], places[f"up.{levels - 1}"])
    first, last = weights[f"{_NESTED}0.weight"], weights[f"{_NESTED}3.weight"]
    options = _common(norm, first, last.shape[1]) | {"levels": levels}
    return "unet", options, _moved(weights, places)


def _inner(level: int) -> str:
    """The path from the outermost level to another one."""
    return "" if level == 0 else _LEVEL + "3.model." * (level - 1)


def _resnet(weights: Weights) -> tuple[str, dict[str, Any], Weights]:
    """Layers in a row, residual blocks among them; dropout moves what stands behind it within a block."""
    blocks = sorted({int(match[1]) for key in weights if (match := _BLOCK.match(key))})
    inner = sorted({int(match[2]) for key in weights if (match := _BLOCK.match(key)) and key.endswith(".weight")})
    second = inner[2] if "model.2.weight" in weights else inner[1]
    places: dict[str, str] = {}
    for number in sorted({int(key.split(".")[1]) for key in weights}):
        if number not in blocks:
            places[f"body.{number - 1}"] = f"model.{number}"
            continue
        for own, theirs in {0: 1, 1: 2, 4: second, 5: second + 1}.items():
            places[f"body.{number - 1}.body.{own}"] = f"model.{number}.conv_block.{theirs}"
    head = max(int(key.split(".")[1]) for key in weights)
    places["head"] = places.pop(f"body.{head - 1}")
    options = _common(
        _norm(weights, "model.2", "model.1"), weights["model.1.weight"], weights[f"model.{head}.weight"].shape[0]
    )
    return "resnet", options | {"blocks": len(blocks), "downs": (blocks[0] - 4) // 3}, _moved(weights, places)


def _moved(weights: Weights, places: dict[str, str]) -> Weights:
    """The weights under our names; running statistics are not taken."""
    return {
        f"{own}.{part}": weights[f"{theirs}.{part}"]
        for own, theirs in places.items()
        for part in ("weight", "bias")
        if f"{theirs}.{part}" in weights
    }
