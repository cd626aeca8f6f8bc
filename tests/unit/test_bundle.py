"""Bundles: round trip, damage, things that are not bundles, plugins that are missing."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch
from advtasks_sr.generators import SRResNet

from advtasks.bundle import Manifest, find_bundle, load_bundle, read_manifest, save_bundle
from advtasks.errors import BundleError
from advtasks.inference.engine import ImageModel

OPTIONS = {"scale": 2, "features": 4, "blocks": 1, "tail": "direct", "base": "bilinear"}
MANIFEST = Manifest(
    task="sr", verb="upscale", plugin="advtasks", plugin_version="0.1", advtasks_version="0.1", generator="srresnet",
    hyper_parameters=OPTIONS, channels=3, scale=2, receptive_radius=4, multiple_of=1, metrics={"psnr_y": 30.0},
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "bundle.safetensors"
    save_bundle(path, SRResNet(**OPTIONS), MANIFEST)
    return path


def test_round_trip(bundle: Path) -> None:
    torch.manual_seed(0)
    original = SRResNet(**OPTIONS)
    network, manifest = load_bundle(bundle)
    assert dataclasses.replace(manifest, sha256="") == dataclasses.replace(
        MANIFEST, value_range=[0.0, 1.0], precisions=["fp32", "bf16"]
    )
    picture = torch.rand(1, 3, 9, 7)
    assert torch.equal(network(picture), original(picture))
    assert ImageModel.load(bundle.parent)(picture).shape == (1, 3, 18, 14)


def test_damage_is_noticed(bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[-3] ^= 1
    bundle.write_bytes(bytes(data))
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(bundle)


def test_what_is_not_a_bundle_is_told(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "a.txt").write_text("hello, this is a text file and nothing else")
    (tmp_path / "short").write_bytes(b"x")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    for name, message in (
        ("a.pth", "PyTorch checkpoint"), ("a.txt", "not a bundle"), ("short", "not a bundle"),
        ("plain.safetensors", "without an advtasks manifest"), ("missing", "No such file"),
    ):  # fmt: skip
        with pytest.raises(BundleError, match=message):
            read_manifest(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match="not a run"):
        find_bundle(tmp_path / "folder")
    (tmp_path / "folder" / "run.yaml").touch()
    with pytest.raises(BundleError, match="train --resume"):
        find_bundle(tmp_path / "folder")
    stages = tmp_path / "folder" / "stages"
    stages.mkdir()
    for age, name in enumerate(("b", "a", "c-best-00000500")):
        (stages / f"{name}.safetensors").touch()
        os.utime(stages / f"{name}.safetensors", (age, age))
    with pytest.raises(BundleError, match=r"use the finished stage .*/a.safetensors$"):  # the last, and no best
        find_bundle(tmp_path / "folder")
    with pytest.raises(BundleError, match="no such model"):
        find_bundle(tmp_path / "nowhere")


def test_a_missing_plugin_says_what_to_install(tmp_path: Path) -> None:
    foreign = dataclasses.replace(MANIFEST, generator="dreamnet", plugin="advtasks-dream", plugin_version="2.1")
    save_bundle(tmp_path / "b.safetensors", SRResNet(**OPTIONS), foreign)
    with pytest.raises(BundleError, match="pip install 'advtasks-dream>=2.1'"):
        load_bundle(tmp_path / "b.safetensors")


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    values = {**dataclasses.asdict(MANIFEST), "format": 2}
    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors", metadata={"advtasks": json.dumps(values)})
    with pytest.raises(BundleError, match="bundle format 2.*pip install -U"):
        read_manifest(tmp_path / "b.safetensors")
