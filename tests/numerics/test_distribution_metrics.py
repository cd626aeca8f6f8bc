"""Metrics of whole distributions against closed forms, brute force, and simulations of what they promise."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import linalg
from torch import Tensor

from advtasks.evaluation.frechet import (
    frechet_distance,
    frechet_estimates,
    frechet_infinity,
    needed_for_interval,
)
from advtasks.evaluation.inception_score import inception_score
from advtasks.evaluation.kid import gaussian, kernel_distance, polynomial
from advtasks.evaluation.manifold import manifold
from advtasks.evaluation.moments import Moments


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(mean: Tensor, covariance: Tensor) -> Moments:
    """Moments that no sample is needed for."""
    found = Moments(len(mean))
    found.count, found.mean, found.scatter = 2, mean, covariance
    return found


# --- moments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7, 64, 200])
def test_moments_do_not_depend_on_batches_or_processes(batch: int) -> None:
    features = normal(200, 6) * 3 + 100
    found = Moments(6)
    other = Moments(6)
    for i, part in enumerate(features.split(batch)):
        (found if i % 2 else other).add(part)
    found.merge(other)
    found.merge(Moments(6))
    assert found.count == 200
    torch.testing.assert_close(found.mean, features.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.covariance, torch.cov(features.T), rtol=1e-10, atol=1e-10)


def test_moments_refuse_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Moments.of(torch.tensor([[1.0, float("nan")]]))
    with pytest.raises(ValueError, match="at least two samples"):
        _ = Moments.of(torch.ones(1, 3)).covariance


# --- Fréchet distance --------------------------------------------------------------------------------------------


def test_frechet_distance_of_known_gaussians() -> None:
    a, b = torch.tensor([4.0, 9.0, 0.25]).double(), torch.tensor([1.0, 16.0, 0.0]).double()
    mean = torch.tensor([1.0, -2.0, 0.5]).double()
    found = frechet_distance(exactly(torch.zeros(3).double(), a.diag()), exactly(mean, b.diag()))
    assert found == pytest.approx(float(mean @ mean + (a.sqrt() - b.sqrt()).square().sum()), rel=1e-6)


@pytest.mark.parametrize("rank", [2, 5, 12])
def test_frechet_distance_is_that_of_a_matrix_root_at_any_rank(rank: int) -> None:
    one, other = (normal(12, rank, seed=seed) for seed in (1, 2))
    one, other = one @ one.T, other @ other.T
    found = frechet_distance(*(exactly(torch.zeros(12).double(), c) for c in (one, other)))
    shift = 1e-10 * torch.eye(12).double()
    root = linalg.sqrtm(((one + shift) @ (other + shift)).numpy()).real.trace()
    assert found == pytest.approx(float(one.trace() + other.trace()) - 2 * root, rel=1e-4, abs=1e-4)
    assert frechet_distance(*(exactly(torch.zeros(12).double(), one) for _ in range(2))) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_samples_than_dimensions() -> None:
    features = normal(10, 40)
    assert frechet_distance(Moments.of(features), Moments.of(features)) == pytest.approx(0, abs=1e-5)
    found = frechet_distance(Moments.of(features), Moments.of(features + 2))
    assert found == pytest.approx(4 * 40, rel=1e-6)
    assert frechet_distance(Moments.of(features), Moments.of(normal(12, 40, seed=1))) > 0


def test_the_bias_goes_with_one_over_n_and_the_extrapolation_takes_it_away() -> None:
    d = 16
    real = exactly(torch.zeros(d).double(), torch.eye(d).double())
    biases, both, found = [], [], []
    for seed in range(30):
        fake, sample = normal(1200, d, seed=seed), normal(800, d, seed=seed + 1000)
        biases.append(frechet_distance(Moments.of(fake), real))
        estimates = frechet_estimates(fake, sample, seed=seed)
        both.append(estimates[0].value)
        found.append(estimates[1].value)
    bias, of_both, left = (sum(values) / len(values) for values in (biases, both, found))
    assert bias * 1200 == pytest.approx(d + d * (d + 1) / 4, rel=0.1), "of mean and covariance, to first order"
    assert of_both == pytest.approx(bias * (1 + 1200 / 800), rel=0.15), "a finite real side has a bias of its own"
    assert abs(left) < 0.2 * of_both
    estimate = frechet_infinity(normal(300, d) + 1, normal(400, d, seed=1))
    assert estimate.low < estimate.value < estimate.high
    assert estimate.value == pytest.approx(d, rel=0.2)
    with pytest.raises(ValueError, match="too few"):
        frechet_infinity(normal(9, d), normal(100, d))


def test_too_few_samples_for_the_dimensions_have_no_interval() -> None:
    few = needed_for_interval(16)
    for count, there in ((few - 1, False), (few, True)):
        for estimate in frechet_estimates(normal(count, 16), normal(99, 16, seed=1)):
            assert math.isfinite(estimate.value)
            assert math.isfinite(estimate.low) == math.isfinite(estimate.high) == there


# --- maximum mean discrepancies -------------------------------------------------------------------------------------


def test_kernel_distance_is_its_sum() -> None:
    x, y = normal(5, 4), normal(7, 4, seed=1)
    for kernel in (polynomial, gaussian(1.5)):
        k = lambda a, b: kernel(a[None], b[None]).item()  # noqa: B023, E731
        same = [
            sum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j) / (len(z) * (len(z) - 1))
            for z in (x, y)
        ]
        cross = sum(k(a, b) for a in x for b in y) / 35
        assert kernel_distance(x, y, kernel).value == pytest.approx(same[0] + same[1] - 2 * cross, rel=1e-10)
        leave = kernel_distance(x[1:], y, kernel).value  # the jackknife's parts are what they say
        assert math.isfinite(leave)
    with pytest.raises(ValueError, match="at least three samples"):
        kernel_distance(x[:2], y)


def test_kernels_of_known_vectors() -> None:
    x, y = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3.0, -1.0]]).double()
    assert polynomial(x, y).item() == pytest.approx((1 / 2 + 1) ** 3)
    assert gaussian(2.0)(x, y).item() == pytest.approx(math.exp(-(4 + 9) / 8))


def test_kernel_distance_is_unbiased_and_its_interval_holds_what_it_says() -> None:
    d, shift = 3, 0.7
    # E k(x, y) of the Gaussian kernel for N(0, I) and N(m, I) has a closed form
    sigma = 2.0
    scale = (sigma**2 / (sigma**2 + 2)) ** (d / 2)
    truth = 2 * scale * (1 - math.exp(-d * shift**2 / (2 * (sigma**2 + 2))))
    estimates = [
        kernel_distance(normal(120, d, seed=2 * s), normal(100, d, seed=2 * s + 1) + shift, gaussian(sigma))
        for s in range(800)
    ]
    values = torch.tensor([e.value for e in estimates])
    assert values.mean().item() == pytest.approx(truth, abs=4 * values.std().item() / 800**0.5)
    held = sum(e.low <= truth <= e.high for e in estimates) / len(estimates)
    assert 0.93 <= held <= 0.97
    same = [kernel_distance(normal(60, d, seed=s), normal(60, d, seed=s + 5000), polynomial).value for s in range(300)]
    assert sum(same) / 300 == pytest.approx(0, abs=4 * torch.tensor(same).std().item() / 300**0.5)


# --- manifolds ---------------------------------------------------------------------------------------------------


def test_manifolds_of_equal_and_of_disjoint_sets() -> None:
    x = normal(60, 5)
    equal = manifold(x, x.clone())
    assert (equal.precision, equal.recall, equal.coverage) == (1, 1, 1)
    apart = manifold(x, x + 100)
    assert (apart.precision, apart.recall, apart.density, apart.coverage) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="more than 5 samples"):
        manifold(x[:5], x)


def test_manifolds_are_what_brute_force_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advtasks.evaluation.manifold._ROWS", 16)
    real, fake = normal(50, 3), normal(40, 3, seed=1) * 0.7 + 0.3
    distances = torch.cdist(real, fake)
    own, of_fake = torch.cdist(real, real).sort(1).values, torch.cdist(fake, fake).sort(1).values
    found = manifold(real, fake)
    assert found.precision == (distances <= own[:, 3:4]).any(0).double().mean().item()
    assert found.recall == (distances <= of_fake[:, 3]).any(1).double().mean().item()
    assert found.density == pytest.approx((distances <= own[:, 5:6]).sum().item() / (5 * 40))
    assert found.coverage == (distances <= own[:, 5:6]).any(1).double().mean().item()


def test_density_and_coverage_of_one_law() -> None:
    n, k = 400, 5
    found = [manifold(normal(n, 8, seed=2 * s), normal(n, 8, seed=2 * s + 1)) for s in range(12)]
    expected = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert sum(f.coverage for f in found) / 12 == pytest.approx(expected, abs=0.01)
    assert sum(f.density for f in found) / 12 == pytest.approx(1, abs=0.03)


def test_lost_modes_are_seen_by_recall_and_coverage() -> None:
    centres = torch.eye(6).double() * 20
    real = (centres[:, None] + normal(6, 80, 6)).flatten(0, 1)
    fake = (centres[:2, None] + normal(2, 240, 6, seed=1)).flatten(0, 1)
    found = manifold(real, fake)
    assert found.precision > 0.85
    assert found.recall < 0.4
    assert found.coverage < 0.4
    assert found.density == pytest.approx(1, abs=0.1), "where there are fakes, there are as many as there should be"


# --- inception score ---------------------------------------------------------------------------------------------


def test_inception_score_of_known_probabilities() -> None:
    balanced = torch.eye(5).repeat(20, 1)
    assert inception_score(balanced, 1) == (pytest.approx(5, rel=1e-6), 0)
    assert inception_score(balanced, 10) == (pytest.approx(5, rel=1e-6), pytest.approx(0, abs=1e-6))
    assert inception_score(torch.full((40, 5), 0.2), 4)[0] == pytest.approx(1)
    assert inception_score(torch.eye(5)[torch.arange(100) // 20], 5)[0] == pytest.approx(1), "each part has one class"
    with pytest.raises(ValueError, match="softmax"):
        inception_score(torch.randn(10, 5), 1)
    with pytest.raises(ValueError, match="cannot be split"):
        inception_score(balanced[:4], 10)
