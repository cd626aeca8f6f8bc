"""Blends of two bundles: the weights between, the manifest's honesty, refusals; folded bundles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from advtasks_sr.generators import SPAN, SRResNet
from torch import nn

from advtasks.blend import blend
from advtasks.bundle import Manifest, folded, load_bundle, save_bundle
from advtasks.errors import BundleError, UsageError

OPTIONS = {"scale": 2, "features": 4, "blocks": 1, "tail": "direct", "base": "bilinear"}
MANIFEST = Manifest(
    task="sr", verb="upscale", plugin="advtasks", plugin_version="0.1", advtasks_version="0.1", generator="srresnet",
    hyper_parameters=OPTIONS, channels=3, scale=2, receptive_radius=4, multiple_of=1, metrics={"psnr_y": 30.0},
    protocols={"psnr_y": "Y"}, stage="pixel", steps=10, licence="CC-BY-4.0", training_data="photographs",
)  # fmt: skip


def made(path: Path, seed: int, **changes: object) -> tuple[Path, nn.Module]:
    torch.manual_seed(seed)
    manifest = dataclasses.replace(MANIFEST, **changes)  # type: ignore[arg-type]
    network = SRResNet(**manifest.hyper_parameters)
    nn.init.normal_(network.conv_last.weight)
    save_bundle(path, network, manifest)
    return path, network


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_weights_lie_between(tmp_path: Path, alpha: float) -> None:
    first, one = made(tmp_path / "a.safetensors", 0)
    second, other = made(tmp_path / "b.safetensors", 1, stage="adversarial", steps=20)
    network, manifest = blend(first, second, alpha)
    state = other.state_dict()
    for name, value in one.state_dict().items():
        expected = (1 - alpha) * value.double() + alpha * state[name].double()
        torch.testing.assert_close(network.state_dict()[name].double(), expected, rtol=1e-6, atol=1e-8)
    picture = torch.rand(1, 3, 6, 6)
    if alpha in (0, 1):
        assert torch.equal(network(picture), (one, other)[int(alpha)](picture))
    assert not network.training
    save_bundle(tmp_path / "c.safetensors", network, manifest)
    again, read = load_bundle(tmp_path / "c.safetensors")
    assert torch.equal(again(picture), network(picture))
    assert read.stage == manifest.stage


def test_the_manifest_claims_nothing_that_was_not_measured(tmp_path: Path) -> None:
    first, _ = made(tmp_path / "pixel.safetensors", 0)
    second, _ = made(tmp_path / "gan.safetensors", 1, stage="adversarial", steps=20, licence="not stated")
    manifest = blend(first, second, 0.25)[1]
    assert manifest.metrics == manifest.protocols == {}
    assert manifest.sha256 == ""
    assert manifest.steps == 20
    assert manifest.licence == "CC-BY-4.0; and not stated"
    assert manifest.training_data == "photographs"
    for part in (
        "0.75 of pixel.safetensors (stage pixel",
        "0.25 of gan.safetensors (stage adversarial",
        load_bundle(first)[1].sha256,
    ):
        assert part in manifest.stage


def test_different_networks_are_refused_with_what_differs(tmp_path: Path) -> None:
    first, _ = made(tmp_path / "a.safetensors", 0)
    second, _ = made(tmp_path / "b.safetensors", 1, hyper_parameters={**OPTIONS, "features": 6})
    third, _ = made(tmp_path / "c.safetensors", 1, hyper_parameters={**OPTIONS, "scale": 3}, scale=3)
    with pytest.raises(BundleError, match=r"cannot be blended.*\(hyper_parameters.features: 4 and 6\)"):
        blend(first, second, 0.5)
    with pytest.raises(BundleError, match=r"hyper_parameters.scale: 2 and 3; scale: 2 and 3"):
        blend(first, third, 0.5)
    with pytest.raises(BundleError, match="No such file"):
        blend(first, tmp_path / "none.safetensors", 0.5)
    for alpha in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="a share from 0"):
            blend(first, first, alpha)


def test_counters_of_batch_norm_are_taken_from_the_nearer_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    networks = [nn.BatchNorm2d(3), nn.BatchNorm2d(3)]
    for number, network in enumerate(networks):
        network.num_batches_tracked.fill_(number + 5)
        network.running_mean.fill_(number)
    by_name = {"a": (networks[0], MANIFEST), "b": (networks[1], MANIFEST)}
    monkeypatch.setattr("advtasks.blend.load_bundle", lambda path: by_name[path.name])
    mixed, _ = blend(tmp_path / "a", tmp_path / "b", 0.75)
    assert mixed.num_batches_tracked == 6
    assert mixed.running_mean.tolist() == [0.75] * 3


def test_bundles_hold_folded_networks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"scale": 2, "features": 4, "normalize": False, "deployed": False}
    manifest = dataclasses.replace(MANIFEST, generator="span", hyper_parameters=options, receptive_radius=21)
    network = SPAN(**options)
    save_bundle(tmp_path / "b.safetensors", *folded(network, manifest))
    loaded, read = load_bundle(tmp_path / "b.safetensors")
    assert read.hyper_parameters["deployed"] is True
    picture = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(loaded(picture), network(picture), rtol=1e-5, atol=1e-5)
    plain = SRResNet(**OPTIONS)
    assert folded(plain, MANIFEST) == (plain, MANIFEST)
