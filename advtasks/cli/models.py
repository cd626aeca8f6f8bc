"""``advtasks models info FILE``: the manifest of a bundle. Imports no torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from advtasks.bundle import find_bundle, read_manifest


@dataclass(frozen=True, kw_only=True)
class Models:
    """Show what a model file holds: task, network, scale, metrics with protocol, training data."""

    action: tyro.conf.Positional[Literal["info"]]
    """What to do."""
    model: tyro.conf.Positional[Path]
    """Run folder or bundle.safetensors."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Models, prog="advtasks models", args=argv)
    print(json.dumps(dataclasses.asdict(read_manifest(find_bundle(options.model))), indent=2))
    return 0
