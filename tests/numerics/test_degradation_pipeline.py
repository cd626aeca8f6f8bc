"""The whole degradation: order of its operations, equal draws for equal seeds, on one process and in parts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from advtasks_sr.degradations import PRESETS, Draws, Recipe, degrade, degrade_rgb8, load_recipe, pipeline
from advtasks_sr.degradations.recipe import Final, Jpeg, Pass
from advtasks_sr.lows import LowSide, without_margin

from advtasks.data.resize import downscale_rgb8
from advtasks.draws import SeededDraws
from advtasks.training.randomness import seed_draws


def recipe(name: str = "realesrgan") -> Recipe:
    found = load_recipe(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_any_size_gives_the_low_resolution_in_8_bit_levels(name: str, scale: int) -> None:
    for height, width in ((16 * scale, 24 * scale), (scale, 3 * scale)):
        low = degrade(torch.rand(3, 3, height, width), recipe(name), scale, SeededDraws(1))
        assert low.shape == (3, 3, height // scale, width // scale)
        assert low.min() >= 0
        assert low.max() <= 1
        torch.testing.assert_close(low * 255, (low * 255).round(), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="multiples of the scale"):
        degrade(torch.rand(1, 3, 2 * scale + 1, 2 * scale), recipe(name), scale, SeededDraws(1))


def test_a_recipe_of_nothing_is_the_final_resize() -> None:
    nothing = Recipe(passes=(Pass(),), final=Final(modes=("antialiased",)))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    found = degrade_rgb8(pixels, nothing, 4).astype(int)
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(found[inner] - downscale_rgb8(pixels, 4)[inner]).max() <= 1, "borders are treated differently"


def test_operations_come_in_the_order_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("filtered", "resized", "noisy", "jpeg"):
        real = getattr(pipeline, name)

        def noted(*arguments: object, name: str = name, real=real) -> object:
            done.append(name)
            return real(*arguments)

        monkeypatch.setattr(pipeline, name, noted)
    once = ["filtered", "resized", "noisy"]
    orders = set()
    for seed in range(12):
        done.clear()
        degrade(torch.rand(1, 3, 64, 64), recipe(), 4, SeededDraws(seed))
        assert done[:4] == [*once, "jpeg"]
        assert done[4:7] == once
        orders.add(tuple(done[7:]))
    assert orders == {("jpeg", "resized", "filtered"), ("resized", "filtered", "jpeg")}


def test_the_second_order_is_relative_to_the_low_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    real = pipeline.resized

    def noted(pictures: torch.Tensor, size: tuple[int, int], modes: object) -> torch.Tensor:
        sizes.append(size)
        return real(pictures, size, modes)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "resized", noted)
    for seed in range(40):
        degrade(torch.rand(1, 3, 80, 80), recipe(), 4, SeededDraws(seed))
    first, second, final = sizes[::3], sizes[1::3], sizes[2::3]
    assert 12 <= min(side for side, _ in first) < 30 < 100 < max(side for side, _ in first) <= 120
    assert 6 <= min(side for side, _ in second) < 15 < 20 < max(side for side, _ in second) <= 24
    assert set(final) == {(20, 20)}


def test_jpeg_comes_last_for_the_share_of_the_recipe_and_each_picture_has_its_own_quality() -> None:
    base = Recipe(passes=(Pass(jpeg=Jpeg(quality=(30, 95))),), final=Final(modes=("area",), jpeg_last=1))
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).expand(16, -1, -1, -1)
    found = degrade(picture, base, 4, SeededDraws(0))
    assert len({row.numpy().tobytes() for row in found}) > 10
    never = dataclasses.replace(base, passes=(Pass(jpeg=Jpeg(probability=0)),))
    plain = degrade(picture, never, 4, SeededDraws(0))
    assert len({row.numpy().tobytes() for row in plain}) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_equal_seed_and_step_give_equal_pictures(name: str) -> None:
    pictures = torch.rand(4, 3, 96, 96)

    def at(seed: int, step: int) -> torch.Tensor:
        seed_draws(seed, step, "batch")
        return degrade(pictures, recipe(name), 4, Draws())

    first = at(0, 7)
    torch.rand(5)
    assert torch.equal(first, at(0, 7))
    assert not torch.equal(first, at(0, 8))
    assert not torch.equal(first, at(1, 7))


@pytest.mark.parametrize("name", PRESETS)
def test_rows_do_not_depend_on_the_rows_beside_them(name: str) -> None:
    """What ranks rely on: with the same draws, half a batch gives half of what the batch gives, bit for bit."""

    class Half(SeededDraws):
        def __init__(self, first: int) -> None:
            super().__init__(3)
            self.first = first

        def uniform(self, rows: int, *shape: int) -> torch.Tensor:
            return super().uniform(2 * rows, *shape)[self.first : self.first + rows]

        def normal(self, rows: int, *shape: int, device: torch.device) -> torch.Tensor:
            return super().normal(2 * rows, *shape, device=device)[self.first : self.first + rows]

    pictures = torch.rand(8, 3, 96, 96)
    whole = degrade(pictures, recipe(name), 4, SeededDraws(3))
    parts = [degrade(pictures[first : first + 4], recipe(name), 4, Half(first)) for first in (0, 4)]
    assert torch.equal(whole, torch.cat(parts))


def test_cuts_without_margin_are_aligned_and_lie_anywhere() -> None:
    low = torch.arange(20.0 * 20).view(1, 1, 20, 20).expand(200, 1, 20, 20)
    high = low.repeat_interleave(4, 2).repeat_interleave(4, 3)
    cut, (large,) = without_margin(low, [high], 3, SeededDraws(0))
    assert cut.shape == (200, 1, 14, 14)
    assert torch.equal(cut.repeat_interleave(4, 2).repeat_interleave(4, 3), large)
    assert len(set(cut[:, 0, 0, 0].tolist())) > 40, "of 49 places"


def test_a_validation_picture_is_always_degraded_alike() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (50, 61, 3), dtype=np.uint8)
    found = degrade_rgb8(pixels, recipe(), 4)
    assert found.shape == (12, 15, 3)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert np.array_equal(found, degrade_rgb8(pixels[:48, :60].copy(), recipe(), 4))
    assert torch.equal(before, torch.get_rng_state()), "training draws what it would have drawn"
    other = pixels.copy()
    other[0, 0, 0] ^= 1
    assert not np.array_equal(found, degrade_rgb8(other, recipe(), 4)), "each picture has draws of its own"
    assert LowSide(4, recipe()).name != LowSide(4, recipe("photo")).name != LowSide(2, recipe("photo")).name
