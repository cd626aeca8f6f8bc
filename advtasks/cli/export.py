"""``advtasks export MODEL``: a model for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as ONNX (height, width and batch free) or as weights that other tools load; the file is read back
    and compared with the model before it is kept."""

    model: tyro.conf.Positional[Path]
    """Run folder, bundle, or community model."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """File to write; by default MODEL.onnx or MODEL-weights.safetensors beside it, model.onnx in a run folder."""
    format: Literal["onnx", "safetensors"] = "onnx"
    """onnx, or safetensors with the names of the original implementations (chaiNNer, ComfyUI and others read it)."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Of the weights."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace a file that exists."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Export, prog="advtasks export", args=argv)
    out = options.out or _beside(options.model, options.format)
    suffix = f".{options.format}"
    if out.suffix.lower() != suffix:
        raise UsageError(f"--out {out}: {options.format} is written to a file that ends in {suffix}")
    if out.exists() and not options.overwrite:
        raise UsageError(f"{out} exists; --overwrite replaces it, --out names another one")

    from advtasks.bundle import find_bundle
    from advtasks.inference.export import deterministic, export_onnx, export_weights
    from advtasks.inference.models import open_model

    network, manifest = open_model(options.model)
    if not [*network.parameters()]:
        raise UsageError(f"{options.model}: has been exported already; give the model that it was made of")
    read = find_bundle(options.model) if options.model.is_dir() else options.model
    if out.exists() and out.samefile(read):
        raise UsageError(f"--out {out}: is the model itself, which would be lost; name another file")
    settled = deterministic(network)
    if settled is not network:
        print("note: dropout is random in use of this model; it is left out of the file, which gives one output")
    network = settled
    write = export_onnx if options.format == "onnx" else export_weights
    found = write(network, manifest, out, options.precision)
    for size, difference in found.items():
        print(f"{size}: off by at most {difference:.2g}")
    if not found:
        print(f"note: {manifest.generator} is not recognised by its weights (spandrel); for other programs use ONNX")
    print(f"{out}  {out.stat().st_size / 2**20:.1f} MiB, {manifest.generator} x{manifest.scale}, {options.precision}")
    return 0


def _beside(model: Path, format_: str) -> Path:
    stem = "model" if model.is_dir() else model.stem
    name = f"{stem}.onnx" if format_ == "onnx" else f"{stem}-weights.safetensors"
    return (model if model.is_dir() else model.parent) / name
