"""Tiled equals untiled; memory running out anywhere halves the tile and goes on."""

from __future__ import annotations

import random

import pytest
import torch
from advtasks_sr.generators import SAFMN, SPAN, Compact, RRDBNet, SRResNet
from torch import Tensor

from advtasks.inference.tiling import run_tiled

NETWORKS = {
    "srresnet": SRResNet(4, 8, 2),
    "srresnet-bicubic": SRResNet(4, 8, 1, tail="direct", base="bicubic"),
    "srresnet-x3": SRResNet(3, 8, 1),
    "compact": Compact(2, 8, 2),
    "rrdb": RRDBNet(4, 8, 1, 4),
    "rrdb-x2": RRDBNet(2, 8, 1, 4),
    "rrdb-x3": RRDBNet(3, 8, 1, 4),
    "safmn": SAFMN(2, 8, 1),
    "safmn-x3": SAFMN(3, 8, 2),
    "span": SPAN(2, 4),
    "span-x4-deployed": SPAN(4, 4, deployed=True),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(4))
def test_tiled_equals_untiled_for_any_size(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    network = NETWORKS[name].eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    draw = random.Random(f"{name}{seed}")
    multiple = getattr(network, "multiple_of", 1)
    for height, width in [(1, 1), (13, 7), (draw.randint(2, 60), draw.randint(2, 60)), (53, 31)]:
        picture = torch.rand(1, 3, height, width)
        known = {"scale": network.scale, "radius": network.receptive_radius, "multiple_of": multiple}
        with torch.inference_mode():
            whole = run_tiled(network, picture, **known, tile=10_000)
            tiled = run_tiled(network, picture, **known, tile=draw.randint(1, 24))
        assert whole.shape == (1, 3, height * network.scale, width * network.scale)
        torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("injected"), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: x")],
    ids=["cuda", "cpu"],
)
@pytest.mark.parametrize("failing_call", range(6))
def test_out_of_memory_at_any_tile_halves_it_and_loses_nothing(failing_call: int, error: RuntimeError) -> None:
    network = NETWORKS["compact"].eval()
    picture = torch.rand(1, 3, 40, 60)
    calls = 0

    def sometimes(tile: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls - 1 == failing_call:
            raise error
        return network(tile)

    with torch.inference_mode():
        expected = network(picture)
        found = run_tiled(sometimes, picture, scale=2, radius=network.receptive_radius, tile=20)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert calls == 6 + 2


def test_memory_that_is_never_enough_is_an_error() -> None:
    def never(tile: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("injected")

    with pytest.raises(torch.OutOfMemoryError):
        run_tiled(never, torch.rand(1, 3, 8, 8), scale=2, radius=2, tile=4)


def test_other_errors_are_not_swallowed() -> None:
    def broken(tile: Tensor) -> Tensor:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_tiled(broken, torch.rand(1, 3, 8, 8), scale=2, radius=2, tile=4)
