"""LPIPS and DISTS with random weights against a float64 computation by hand, and against the authors' packages where
they are installed; perceptual losses with layer weights."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from pathlib import Path

import pytest
import torch
from advtasks_sr.presets import QUICK
from advtasks_sr.task import SuperResolution
from torch import Tensor, nn
from torch.nn.functional import conv2d, l1_loss, max_pool2d, relu

from advtasks import components
from advtasks.config import StageConfig
from advtasks.errors import UsageError
from advtasks.features import FeatureNetwork
from advtasks.losses import PerceptualLoss
from advtasks.torchvision_operators import import_torchvision

WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """State dicts with random weights under the names of the original files."""
    import_torchvision()
    from torchvision.models import alexnet, vgg16

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name, build in (("alex", alexnet), ("vgg", vgg16)):
        with torch.device("meta"):
            features = build(weights=None).features
        features = features.to_empty(device="cpu")
        for layer in features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.normal_(layer.bias, std=0.1)
        found[f"{name}-trunk"] = folder / f"{name}.pth"
        torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, found[f"{name}-trunk"])
        found[f"{name}-heads"] = folder / f"{name}-heads.pth"
        torch.save(
            {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1) for i, width in enumerate(WIDTHS[name])},
            found[f"{name}-heads"],
        )
    found["dists"] = folder / "weights.pt"
    torch.save({name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}, found["dists"])
    return found


def pair(side: int = 64) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(3)
    target = torch.rand(2, 3, side, side + 3, generator=draws)
    return (target + 0.2 * torch.randn(target.shape, generator=draws)).clamp(0, 1), target


def trunk_features(file: Path, picture: Tensor, kind: str, pooling: str) -> list[Tensor]:
    """Layer by layer, in float64, without torchvision."""
    state = {key: value.double() for key, value in torch.load(file, weights_only=True).items()}
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = (2 * picture.double() - 1 - shift.double().view(1, 3, 1, 1)) / scale.double().view(1, 3, 1, 1)
    numbers = sorted({int(key.split(".")[1]) for key in state})
    plans = {
        "alex": [(0, 4, 2, ""), (3, 1, 2, "3"), (6, 1, 1, "3"), (8, 1, 1, ""), (10, 1, 1, "")],
        "vgg": [(n, 1, 1, "2" if n in (5, 10, 17, 24) else "") for n in numbers],
    }
    ends = {"alex": {0, 3, 6, 8, 10}, "vgg": {2, 7, 14, 21, 28}}[kind]
    found = []
    for number, stride, padding, pool in plans[kind]:
        if pool and pooling == "max":
            x = max_pool2d(x, int(pool), 2)
        elif pool:
            window = torch.tensor([0.5, 1, 0.5], dtype=torch.float64)
            window = torch.outer(window, window) / 4
            squares = conv2d(x.square().flatten(0, 1)[:, None], window[None, None], stride=2, padding=1)
            x = (squares[:, 0].unflatten(0, x.shape[:2]) + 1e-12).sqrt()
        x = relu(conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], stride, padding))
        if number in ends:
            found.append(x)
    return found


@pytest.mark.parametrize("kind", ["alex", "vgg"])
def test_lpips_is_its_formula(files: dict[str, Path], kind: str) -> None:
    text = f"lpips:network={kind}:trunk={files[f'{kind}-trunk']}:heads={files[f'{kind}-heads']}"
    measure = components.build("distances", text)
    output, target = pair()
    heads = torch.load(files[f"{kind}-heads"], weights_only=True)
    expected = torch.zeros(2, dtype=torch.float64)
    of_output, of_target = (trunk_features(files[f"{kind}-trunk"], x, kind, "max") for x in (output, target))
    for number, (one, other) in enumerate(zip(of_output, of_target, strict=True)):
        one, other = (f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10) for f in (one, other))
        weighted = (one - other).square() * heads[f"lin{number}.model.1.weight"].double()
        expected += weighted.sum(1).mean(dim=(1, 2))
    torch.testing.assert_close(measure(output, target).double(), expected, rtol=1e-4, atol=1e-6)
    assert measure(target, target).abs().max() == 0
    output.requires_grad_(True)
    measure(output, target).sum().backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in measure.parameters())


def test_lpips_has_finite_gradients_where_no_feature_is_active(files: dict[str, Path]) -> None:
    measure = components.build("distances", f"lpips:trunk={files['alex-trunk']}:heads={files['alex-heads']}")
    with torch.no_grad():
        for parameter in measure.network.parameters():
            parameter.zero_()
    output = torch.rand(1, 3, 64, 64, requires_grad=True)
    measure(output, torch.rand(1, 3, 64, 64)).sum().backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_dists_is_its_formula(files: dict[str, Path]) -> None:
    measure = components.build("distances", f"dists:trunk={files['vgg-trunk']}:weights={files['dists']}")
    output, target = pair()
    stored = torch.load(files["dists"], weights_only=True)
    alpha, beta = (stored[name].double().flatten() for name in ("alpha", "beta"))
    whole = (alpha.sum() + beta.sum()).item()
    expected, start = torch.ones(2, dtype=torch.float64), 0
    found, wanted = ([x.double(), *trunk_features(files["vgg-trunk"], x, "vgg", "l2")] for x in (output, target))
    for one, other in zip(found, wanted, strict=True):
        for channel in range(one.shape[1]):
            x, y = one[:, channel].flatten(1), other[:, channel].flatten(1)
            mx, my = x.mean(1), y.mean(1)
            covariance = (x * y).mean(1) - mx * my
            spread = (x * x).mean(1) - mx**2 + (y * y).mean(1) - my**2
            expected -= alpha[start] / whole * (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6)
            expected -= beta[start] / whole * (2 * covariance + 1e-6) / (spread + 1e-6)
            start += 1
    assert start == 1475
    torch.testing.assert_close(measure(output, target).double(), expected, rtol=1e-4, atol=1e-5)
    assert measure(target, target).abs().max() < 1e-5
    output.requires_grad_(True)
    measure(output, target).sum().backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


@pytest.mark.filterwarnings("ignore")  # of the package
@pytest.mark.parametrize("kind", ["alex", "vgg"])
def test_lpips_equals_the_authors_package(files: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the heads that the package ships and a random trunk."""
    if importlib.util.find_spec("lpips") is None:
        pytest.skip("pip install lpips, to compare with it")
    import_torchvision()
    import lpips

    theirs = lpips.LPIPS(net=kind, pnet_rand=True, verbose=False)
    state = torch.load(files[f"{kind}-trunk"], weights_only=True)
    theirs.net.load_state_dict({key: state["features." + key.split(".", 1)[1]] for key in theirs.net.state_dict()})
    ours = components.build("distances", f"lpips:network={kind}:trunk={files[f'{kind}-trunk']}")
    output, target = pair()
    torch.testing.assert_close(
        ours(output, target), theirs(output, target, normalize=True).flatten(), rtol=1e-4, atol=1e-7
    )


def test_missing_and_wrong_files_are_named(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(b"this is no state dict")
    trunk, heads, vgg = files["alex-trunk"], files["alex-heads"], files["vgg-trunk"]
    for text, message in (
        (f"lpips:trunk={trunk}:heads={tmp_path / 'none.pth'}", "pip download --no-deps lpips"),
        (f"lpips:heads={heads}", "alexnet-owt-7be5be79.pth"),
        (f"lpips:network=vgg:trunk={vgg}:heads={heads}", "not the heads of LPIPS with vgg"),
        (f"lpips:trunk={files['dists']}:heads={heads}", "no alexnet state dict"),
        (f"lpips:trunk={tmp_path / 'other.pth'}:heads={heads}", "other.pth: not a PyTorch weights file"),
        (f"dists:trunk={vgg}", "pip download --no-deps dists-pytorch"),
        (f"dists:trunk={vgg}:weights={heads}", "not the weights of DISTS"),
        (f"dists:weights={files['dists']}", "vgg16-397923af.pth"),
    ):
        with pytest.raises(UsageError, match=message):
            components.build("distances", text)


def sr(**changes: object) -> SuperResolution:
    weights = {"l1": 1.0, "lpips": 0.5}
    stage = StageConfig(name="pixel", steps=1, weights=weights)
    return SuperResolution(dataclasses.replace(QUICK, **{"stages": (stage,), **changes}))


def test_the_task_trains_with_and_measures_lpips(files: dict[str, Path]) -> None:
    text = f"lpips:trunk={files['alex-trunk']}:heads={files['alex-heads']}"
    task = sr(lpips=text)
    assert [metric.name for metric in task.metrics][-1] == "lpips_alex"
    output, target = pair()
    terms = task.objective({"high": target}, output, {"l1": 1.0, "lpips": 0.5})
    assert terms["lpips"].value.item() == pytest.approx(task.terms.distances["lpips"](output, target).mean().item())
    assert terms["lpips"].weight == 0.5
    with pytest.raises(UsageError, match="write --lpips lpips:trunk=FILE:heads=FILE"):
        sr()
    with pytest.raises(UsageError, match="lpips: expected lpips:trunk=FILE"):
        sr(lpips=text.replace("lpips:", "dists:", 1))


class Shrunk(FeatureNetwork):
    """The picture, and its mean over colours."""

    name, layer_names = "shrunk", ("colour", "grey")

    def __init__(self) -> None:
        super().__init__((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [pictures, pictures.mean(1, keepdim=True)]


def test_layer_weights_of_perceptual_losses() -> None:
    output, target = pair(8)
    parts = [l1_loss(output, target), l1_loss(output.mean(1), target.mean(1))]
    assert PerceptualLoss(Shrunk(), "l1")(output, target).item() == pytest.approx(((parts[0] + parts[1]) / 2).item())
    weighted = PerceptualLoss(Shrunk(), "l1", (0.1, 3.0))(output, target)
    assert weighted.item() == pytest.approx((0.1 * parts[0] + 3 * parts[1]).item())
    unit = [
        PerceptualLoss(Shrunk(), "unit", w)(output, target).item() for w in ((1.0, 0.0), (0.0, 1.0), (2.0, 5.0), ())
    ]
    assert unit[2] == pytest.approx(2 * unit[0] + 5 * unit[1])
    assert unit[3] == pytest.approx(unit[0] + unit[1])
    with pytest.raises(UsageError, match=r"3 layer weights for the 2 layers of shrunk \(colour, grey\)"):
        PerceptualLoss(Shrunk(), "l1", (1, 1, 1))
    with pytest.raises(UsageError, match="cannot be negative"):
        PerceptualLoss(Shrunk(), "l1", (1, -1))


def test_layer_weights_reach_the_task() -> None:
    stage = StageConfig(name="pixel", steps=1, weights={"perceptual": 1.0})
    with pytest.raises(UsageError, match="perceptual_layer_weights: 2 layer weights for the 5 layers of efficientnet"):
        sr(stages=(stage,), perceptual_layer_weights=(1.0, 1.0))
    task = sr(stages=(stage,), perceptual_layer_weights=(0.0, 0.0, 0.0, 0.0, 0.0))
    output, target = pair()
    assert task.objective({"high": target}, output, {"perceptual": 1.0})["perceptual"].value.item() == 0
    assert math.isfinite(task.objective({"high": target}, output, dict.fromkeys(["ldl", "ms-ssim"], 1.0))["ldl"].value)
