"""Tiled equals untiled; memory running out anywhere halves the tile and goes on."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from advtasks_sr.generators import SAFMN, SPAN, Compact, RRDBNet, SRResNet
from torch import Tensor
from torch.nn.functional import interpolate, pad

from advtasks.inference.blending import OVERLAP, Blender, spans
from advtasks.inference.tiling import Geometry, Tiler, Whole, run_tiled, tile_shape

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
            down, right = -height % multiple, -width % multiple
            mode = "reflect" if down < height and right < width else "replicate"
            whole = network(pad(picture, (0, right, 0, down), mode=mode))
            whole = whole[..., : height * network.scale, : width * network.scale]
            tiled = run_tiled(network, picture, **known, tile=draw.randint(1, 24))
        assert tiled.shape == (1, 3, height * network.scale, width * network.scale)
        torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5 * max(1.0, float(whole.abs().max())))


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
    assert calls >= 6 + 2


def test_after_memory_ran_out_no_tile_is_tried_that_large_again() -> None:
    network = NETWORKS["compact"].eval()
    most, failures = 24 * 24, 0

    def small(tile: Tensor) -> Tensor:
        nonlocal failures
        if tile.shape[-1] * tile.shape[-2] > most:
            failures += 1
            raise MemoryError
        return network(tile)

    picture = torch.rand(1, 3, 90, 70)
    with torch.inference_mode():
        found = run_tiled(small, picture, scale=2, radius=network.receptive_radius, tile=32)
        torch.testing.assert_close(found, network(picture), rtol=1e-4, atol=1e-5)
    assert failures <= 2, "9 tiles do not fit, but what was learned from the first holds for all"


@pytest.mark.parametrize("seed", range(30))
def test_tiles_use_the_memory_and_no_more(seed: int) -> None:
    draw = random.Random(seed)
    height, width, context = draw.randint(1, 3000), draw.randint(1, 3000), draw.randint(0, 40)
    most = draw.randint(200 * 200, 1000 * 1000)
    rows, columns = tile_shape(height, width, context, most)
    seen = min(rows + 2 * context, height) * min(columns + 2 * context, width)
    assert seen <= most
    if height * width <= most:
        assert (rows, columns) == (height, width), "a picture that fits is not cut"
    geometry = Geometry(1, context)
    tiler = Tiler(lambda tile: tile, Whole(torch.zeros(1, 1, height, width)), geometry, (rows, columns))
    square = max(int(most**0.5) - 2 * context, 1)
    naive = Tiler(lambda tile: tile, Whole(torch.zeros(1, 1, height, width)), geometry, (square, square))
    assert tiler.work <= naive.work, "never more work than square tiles of the same memory"
    assert tile_shape(height, width, context, most, 7)[0] <= 7


def test_the_work_that_is_predicted_is_the_work_that_is_done() -> None:
    seen = 0

    def count(tile: Tensor) -> Tensor:
        nonlocal seen
        seen += tile.shape[-1] * tile.shape[-2]
        return tile

    tiler = Tiler(count, Whole(torch.zeros(1, 1, 57, 83)), Geometry(1, 5), (20, 30))
    calls: list[tuple[int, int]] = []
    list(tiler.bands(lambda done, of: calls.append((done, of))))
    assert seen == tiler.work
    assert calls == [(number, tiler.tiles) for number in range(1, 10)]


@pytest.mark.parametrize("seed", range(12))
def test_blended_tiles_of_a_local_network_are_seamless_and_nothing_is_darkened(seed: int) -> None:
    """What is the same in all tiles comes out as it is, at borders and with three tiles over a pixel too (the peers'
    D6: weights of 0 at tile edges)."""
    draw = random.Random(seed)
    height, width = draw.choice([1, 7, 63, 64, 65, 100, 131]), draw.randint(1, 200)
    multiple = draw.choice([1, 4, 8])
    picture = torch.rand(2, 3, height, width)
    tiler = Blender(
        lambda tile: interpolate(tile, scale_factor=2, mode="nearest"),
        Whole(picture), Geometry(2, None, multiple), (draw.randint(1, 90), draw.randint(1, 90)),
    )  # fmt: skip
    found = torch.cat(list(tiler.bands()), dim=2)
    torch.testing.assert_close(found, interpolate(picture, scale_factor=2, mode="nearest"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("multiple", [1, 8, 32, 64, 256])
@pytest.mark.parametrize("side", [1, 70, 256, 300])
def test_blended_tiles_share_enough_whatever_sides_the_network_wants(multiple: int, side: int) -> None:
    for length in range(multiple, 2000, multiple * max(1, 97 // multiple)):
        found = spans(length, side, multiple)
        assert (found[0][0], found[-1][1]) == (0, length)
        assert all(start % multiple == 0 and (end - start) % multiple == 0 for start, end in found)
        assert all(end - start >= OVERLAP for (_, end), (start, _) in itertools.pairwise(found))


def test_blending_goes_over_smoothly_where_tiles_differ() -> None:
    numbers = iter(range(100))
    tiler = Blender(
        lambda tile: torch.full_like(tile, float(next(numbers))), Whole(torch.zeros(1, 1, 64, 200)),
        Geometry(1, None), (64, 80),
    )  # fmt: skip
    row = torch.cat(list(tiler.bands()), dim=2)[0, 0, 0]
    assert row[0] == 0
    assert row[-1] == tiler.tiles - 1
    assert (row.diff() >= 0).all()
    assert row.diff().max() < 0.1, "no seam"


def test_blended_tiles_that_do_not_fit_are_halved() -> None:
    def small(tile: Tensor) -> Tensor:
        if tile.shape[-1] * tile.shape[-2] > 100 * 100:
            raise torch.OutOfMemoryError("injected")
        return tile

    picture = torch.rand(1, 3, 190, 230)
    found = torch.cat(list(Blender(small, Whole(picture), Geometry(1, None), (190, 230)).bands()), dim=2)
    torch.testing.assert_close(found, picture)


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
