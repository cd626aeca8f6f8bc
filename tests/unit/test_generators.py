"""Super-resolution networks: counts, names, shapes, receptive fields."""

from __future__ import annotations

import pytest
import torch
from advtasks_sr.generators import SAFMN, SPAN, Compact, RRDBNet, SRResNet, safmn
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from advtasks.errors import UsageError

SMALL = [
    SRResNet(4, 8, 2),
    SRResNet(3, 8, 1),
    SRResNet(8, 8, 1),
    SRResNet(2, 8, 1),
    SRResNet(4, 8, 2, tail="direct", base="bicubic"),
    SRResNet(3, 8, 1, tail="direct"),
    RRDBNet(4, 8, 1, 4),
    RRDBNet(2, 8, 1, 4),
    RRDBNet(8, 8, 1, 4),
    RRDBNet(3, 8, 1, 4),
    Compact(4, 8, 2),
    Compact(3, 8, 1),
    Compact(8, 8, 1),
    SPAN(2, 4),
    SPAN(3, 4, normalize=True),
    SPAN(4, 4, deployed=True),
    SPAN(8, 4),
    SAFMN(4, 8, 1),
    SAFMN(3, 8, 2),
    SAFMN(2, 8, 1),
    SAFMN(8, 8, 1),
]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_of_the_literature() -> None:
    assert count(SRResNet()) == 1_517_571
    assert count(RRDBNet()) == 16_697_987
    assert count(Compact()) == 621_424
    assert count(Compact(convolutions=32)) == 1_213_296
    assert count(SAFMN()) == 239_520
    assert count(SPAN()) == 1_840_488
    assert count(SPAN().deployed()) == 426_288


def test_state_dict_names_of_the_community() -> None:
    assert {"conv_first.weight", "body.15.conv2.bias", "upconv1.weight", "upconv2.weight", "conv_hr.weight",
            "conv_last.bias"} <= set(SRResNet().state_dict())  # fmt: skip
    assert {"conv_first.weight", "body.22.rdb3.conv5.bias", "conv_body.weight", "conv_up1.weight", "conv_up2.bias",
            "conv_hr.weight", "conv_last.bias"} <= set(RRDBNet().state_dict())  # fmt: skip
    assert set(Compact().state_dict()) == {
        f"body.{i}.{kind}" for i in range(35) for kind in (("weight", "bias") if i % 2 == 0 else ("weight",))
    }


@pytest.mark.parametrize("network", SMALL, ids=lambda n: f"{type(n).__name__}-x{n.scale}")
def test_shape_and_determinism(network: nn.Module) -> None:
    picture = torch.rand(2, 3, 10, 14)
    one, other = network(picture), network(picture)
    assert one.shape == (2, 3, 10 * network.scale, 14 * network.scale)
    assert one.dtype == torch.float32
    assert torch.equal(one, other)


@pytest.mark.parametrize("network", SMALL, ids=lambda n: f"{type(n).__name__}-x{n.scale}")
def test_declared_receptive_radius_covers_the_measured_one(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safmn, "adaptive_max_pool2d", adaptive_avg_pool2d)  # a maximum passes gradients to one place
    torch.manual_seed(0)
    for parameter in network.parameters():  # no weight may hide a path, nor a negative slope cancel it
        nn.init.uniform_(parameter, 0.05, 0.1)
    network = network.double()
    side = 2 * network.receptive_radius + 13
    multiple = getattr(network, "multiple_of", 1)
    side += -side % multiple
    picture = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    output = network(picture)
    reached = 0
    for offset in range(network.scale * multiple):
        middle = side // 2 + offset // network.scale
        (gradient,) = torch.autograd.grad(
            output[0, :, :, middle * network.scale + offset % network.scale].double().sum(), picture, retain_graph=True
        )
        columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
        reached = max(reached, int((columns - middle).abs().max()))
    network.float()
    assert reached <= network.receptive_radius
    assert network.receptive_radius - reached <= 2, "an overlap far too large wastes time"


def test_direct_tail_starts_as_interpolation() -> None:
    network = SRResNet(4, 8, 1, tail="direct", base="bicubic")
    flat = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(network(flat), torch.full((1, 3, 32, 32), 0.3))


def test_rrdb_refuses_scale_5() -> None:
    with pytest.raises(UsageError, match="2, 3, 4 or 8"):
        RRDBNet(5)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("normalize", [True, False])
def test_folded_branches_compute_the_same(scale: int, normalize: bool) -> None:
    torch.manual_seed(scale)
    network = SPAN(scale, 12, normalize)
    folded = network.deployed()
    picture = torch.rand(2, 3, 9, 14)
    assert count(folded) < count(network) / 2
    torch.testing.assert_close(folded(picture), network(picture), rtol=1e-5, atol=1e-5)
    assert folded.deployed() is folded
    assert not {name for name in folded.state_dict() if ".sk." in name or ".conv." in name}


def test_gradients_reach_every_branch() -> None:
    network = SPAN(2, 4).double()
    network(torch.rand(1, 3, 6, 6, dtype=torch.float64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
