"""``advtasks models info FILE``: what a model file holds. A bundle's manifest is shown without torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from advtasks.bundle import find_bundle, is_bundle, read_manifest
from advtasks.finite import finite


@dataclass(frozen=True, kw_only=True)
class Models:
    """Show what a model file holds: network, scale, size, receptive field, licence, metrics with protocol."""

    action: tyro.conf.Positional[Literal["info"]]
    """What to do."""
    model: tyro.conf.Positional[Path]
    """Run folder, bundle.safetensors, community model (.pth, .safetensors) or .onnx file."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Models, prog="advtasks models", args=argv)
    print(json.dumps(finite(_described(options.model)), indent=2, allow_nan=False))
    return 0


def _described(model: Path) -> dict[str, Any]:
    path = model if model.is_file() else None
    if path is None or is_bundle(path):
        path = find_bundle(model)
        found = dataclasses.asdict(read_manifest(path))
        return {"file": str(path), "bytes": path.stat().st_size, "parameters": _tensor_values(path), **found}

    from advtasks.inference.engine import ImageModel

    opened = ImageModel.load(path, "cpu")
    found = dataclasses.asdict(opened.manifest)
    found["receptive_radius"] = opened.geometry().radius
    parameters = sum(parameter.numel() for parameter in opened.network.parameters()) or None
    return {"file": str(path), "bytes": path.stat().st_size, "parameters": parameters, **found}


def _tensor_values(path: Path) -> int:
    """Numbers in a safetensors file, from its header."""
    from math import prod

    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
