"""Intervals of means and shares hold what they say, of few values, too."""

from __future__ import annotations

import math

import pytest
import torch

from advtasks.evaluation.inception_score import inception_estimate, inception_score
from advtasks.evaluation.intervals import mean_interval, share_interval
from advtasks.evaluation.manifold import manifold


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
