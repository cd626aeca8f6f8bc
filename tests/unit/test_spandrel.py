"""Our networks' weights in spandrel, which reads most community files: same names, same pictures."""

from __future__ import annotations

import pytest
import torch
from advtasks_sr.generators import SAFMN, SPAN, Compact, RRDBNet
from torch import nn

from advtasks.torchvision_operators import import_torchvision

import_torchvision()
spandrel = pytest.importorskip("spandrel")


def compared(network: nn.Module, state: dict[str, torch.Tensor], architecture: str) -> None:
    found = spandrel.ModelLoader().load_from_state_dict(dict(state))
    assert found.architecture.id == architecture
    assert found.scale == network.scale
    picture = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(found.model.eval()(picture), network.eval()(picture), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("deployed", [True, False])
def test_span(scale: int, normalize: bool, deployed: bool) -> None:
    torch.manual_seed(0)
    network = SPAN(scale, 16, normalize)
    if deployed:
        network = network.deployed()
    compared(network, network.community_state(), "SPAN")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_safmn(scale: int) -> None:
    torch.manual_seed(0)
    network = SAFMN(scale, 12, 2)
    compared(network, network.state_dict(), "SAFMN")


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_rrdb(scale: int) -> None:
    torch.manual_seed(0)
    network = RRDBNet(scale, 16, 2)
    compared(network, network.state_dict(), "ESRGAN")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_compact(scale: int) -> None:
    torch.manual_seed(0)
    network = Compact(scale, 16, 3)
    compared(network, network.state_dict(), "Compact")
