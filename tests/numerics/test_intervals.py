"""Intervals of means and shares hold what they say, of few values, too."""

from __future__ import annotations

import math

import pytest
import torch

from advtasks.evaluation.inception_score import inception_estimate, inception_score
from advtasks.evaluation.intervals import Estimate, count_interval, difference_interval, mean_interval, share_interval
from advtasks.evaluation.manifold import manifold
from advtasks.evaluation.modes import class_coverage
from advtasks.evaluation.sliced_wasserstein import patch_distance, sliced_wasserstein
from advtasks.evaluation.support import support_size


@pytest.mark.parametrize("count", [3, 5, 20])
def test_intervals_of_a_mean_hold_95_of_100_times(count: int) -> None:
    draws = torch.Generator().manual_seed(0)
    found = [mean_interval(torch.randn(count, generator=draws)) for _ in range(2000)]
    assert 0.935 <= sum(e.low <= 0 <= e.high for e in found) / 2000 <= 0.965


@pytest.mark.parametrize(("count", "share"), [(20, 0.3), (100, 0.05), (100, 0.9)])
def test_intervals_of_a_share_hold_95_of_100_times(count: int, share: float) -> None:
    draws = torch.Generator().manual_seed(0)
    found = [share_interval(torch.rand(count, generator=draws) < share) for _ in range(2000)]
    assert 0.925 <= sum(e.low <= share <= e.high for e in found) / 2000 <= 0.985
    none = share_interval(torch.zeros(count, dtype=torch.bool))
    assert none.low == 0
    assert none.high == pytest.approx(3.84 / (count + 3.84), rel=1e-3)


def test_one_value_has_no_interval() -> None:
    assert math.isnan(mean_interval(torch.ones(1)).low)
    assert math.isnan(mean_interval(torch.tensor([1.0, math.inf])).high)


def test_intervals_of_precision_hold_for_these_real_pictures() -> None:
    draws = torch.Generator().manual_seed(0)
    real = torch.randn(100, 3, generator=draws)
    truth = manifold(real, 1.3 * torch.randn(5000, 3, generator=draws))
    found = [manifold(real, 1.3 * torch.randn(80, 3, generator=draws)) for _ in range(200)]
    for expected, estimates in (
        (truth.precision, [share_interval(one.real_looking) for one in found]),
        (truth.density, [mean_interval(one.densities) for one in found]),
    ):
        assert 0.92 <= sum(e.low <= expected <= e.high for e in estimates) / 200 <= 0.985


@pytest.mark.parametrize("splits", [1, 5])
def test_intervals_of_the_inception_score_are_about_that_of_so_many_pictures(splits: int) -> None:
    draws = torch.Generator().manual_seed(0)
    found = [inception_estimate((3 * torch.randn(150, 6, generator=draws)).softmax(1), splits) for _ in range(300)]
    middle = sum(e.value for e in found) / 300
    assert 0.92 <= sum(e.low <= middle <= e.high for e in found) / 300 <= 0.98
    value, _ = inception_score((3 * torch.randn(150, 6, generator=torch.Generator().manual_seed(0))).softmax(1), splits)
    assert found[0].value == value


def holds(found: list[Estimate], truth: float | None = None) -> float:
    """Share of the intervals that hold the truth, or what such samples give in the middle."""
    middle = sum(one.value for one in found) / len(found) if truth is None else truth
    return sum(one.low <= middle <= one.high for one in found) / len(found)


def test_intervals_of_a_difference_of_two_deviations_and_sizes() -> None:
    draws = torch.Generator().manual_seed(0)
    pairs = [(3 * torch.randn(8, generator=draws), torch.randn(30, generator=draws)) for _ in range(2000)]
    assert 0.935 <= holds([difference_interval(*pair) for pair in pairs], 0) <= 0.965
    assert math.isnan(difference_interval(torch.ones(1), torch.ones(5)).low)
    tiny = torch.tensor([1e-160, 2e-160], dtype=torch.float64)
    assert difference_interval(tiny, 0 * tiny).high < 1e-150, "whose squares are 0"
    same = difference_interval(torch.ones(4), torch.ones(5))
    assert (same.low, same.value, same.high) == (0, 0, 0)


@pytest.mark.parametrize("mean", [1.5, 20.0])
def test_intervals_of_a_count_hold_at_least_95_of_100_times(mean: float) -> None:
    draws = torch.Generator().manual_seed(0)
    counts = torch.poisson(torch.full((3000,), mean), generator=draws).int().tolist()
    assert 0.945 <= holds([count_interval(count) for count in counts], mean) <= 0.99
    assert (count_interval(0).low, count_interval(0).high) == (0, pytest.approx(3.689, rel=1e-3))


@pytest.mark.parametrize(("shift", "scale", "most"), [(0.5, 1.0, 0.98), (0.0, 1.5, 0.985), (0.0, 1.0, 1.0)])
def test_intervals_of_the_sliced_distance_are_about_that_of_so_many_samples(
    shift: float, scale: float, most: float
) -> None:
    """Of one law, where what a sample moves is itself noise, they are too wide."""
    draws = torch.Generator().manual_seed(0)
    sides = [
        (shift + scale * torch.randn(120, 5, generator=draws), torch.randn(200, 5, generator=draws)) for _ in range(200)
    ]
    assert 0.925 <= holds([sliced_wasserstein(*pair, directions=32) for pair in sides]) <= most


def test_intervals_of_patches_count_pictures_and_not_patches() -> None:
    """Patches of a picture are alike: eight times as many of the same say no more."""
    draws = torch.Generator().manual_seed(0)

    def patches(strength: float) -> torch.Tensor:
        own = 1 + strength * torch.rand(30, 1, 1, 1, 1, 1, generator=draws)
        return own * torch.randn(30, 1, 1, 3, 7, 7, generator=draws).expand(30, 2, 8, 3, 7, 7)

    found = [patch_distance(patches(0.2), patches(6.0), directions=8).mean for _ in range(120)]
    assert holds(found) >= 0.92
    once = [patch_distance(patches(0.2)[:, :, :1], patches(6.0)[:, :, :1], directions=8).mean for _ in range(120)]
    widths = [sum(one.high - one.low for one in group) for group in (found, once)]
    assert widths[0] == pytest.approx(widths[1], rel=0.2)


@pytest.mark.parametrize(("classes", "most"), [(10, 0.985), (100, 1.0)])
def test_intervals_of_the_divergence_of_classes(classes: int, most: float) -> None:
    """Of few pictures a class they are too wide."""
    draws = torch.Generator().manual_seed(0)
    made, real = torch.rand(classes, generator=draws) ** 2, torch.rand(classes, generator=draws)

    def read(law: torch.Tensor) -> torch.Tensor:
        return torch.multinomial(law, 300, True, generator=draws)

    found = [class_coverage(read(made), classes, read(real)).divergence for _ in range(300)]
    assert 0.925 <= holds(found) <= most
    assert class_coverage(torch.arange(4), 4).divergence == Estimate(0, 0, 0)


@pytest.mark.parametrize(("atoms", "drawn"), [(200, 120), (2000, 300)])
def test_intervals_of_the_support_hold_its_size(atoms: int, drawn: int) -> None:
    draws = torch.Generator().manual_seed(0)
    places = torch.randn(atoms, 4, generator=draws) * 10
    found = [support_size(places[torch.randint(atoms, (drawn,), generator=draws)], 1e-6) for _ in range(300)]
    assert 0.92 <= holds([one.size for one in found if not one.is_bound], atoms) <= 0.985


def test_intervals_of_the_support_hold_of_a_law_with_a_large_mode() -> None:
    """A tenth of all samples is one: collisions come in bunches."""
    draws = torch.Generator().manual_seed(0)
    places = torch.randn(2000, 4, generator=draws) * 10
    law = torch.cat((torch.tensor([0.1]), torch.full((1999,), 0.9 / 1999)))
    found = [support_size(places[torch.multinomial(law, 400, True, generator=draws)], 1e-6).size for _ in range(150)]
    assert holds(found, 1 / law.square().sum().item()) >= 0.92
