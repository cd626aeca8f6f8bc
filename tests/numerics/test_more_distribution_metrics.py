"""Sliced Wasserstein, support size, path length, class coverage and intervals: closed forms and simulations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from advtasks.evaluation.frechet import FrechetReference, frechet_infinity
from advtasks.evaluation.modes import class_coverage, stacked
from advtasks.evaluation.moments import Moments
from advtasks.evaluation.path_length import linear, perceptual_path_length, spherical
from advtasks.evaluation.sliced_wasserstein import (
    enlarged,
    laplacian_pyramid,
    patch_distance,
    pyramid_patches,
    sliced_wasserstein,
)
from advtasks.evaluation.support import nearest, nearest_other, support_size
from advtasks.losses import multi_scale_ssim


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads cost more than they save on small matrices."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- Fréchet distance: its interval -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "n", "m", "shift", "scale", "most"),
    [(4, 400, 300, 0.5, 1.3, 0.975), (12, 300, 300, 0.3, 0.8, 0.975), (12, 300, 200, 0.0, 1.0, 0.99)],
    ids=["wider", "narrower", "one law"],
)
@pytest.mark.usefixtures("one_thread")
def test_the_interval_of_the_extrapolation_holds_what_it_says(
    d: int, n: int, m: int, shift: float, scale: float, most: float
) -> None:
    """Of a sampled real side, as there always is."""
    truth = d * shift**2 + d * (scale - 1) ** 2
    estimates = [
        frechet_infinity(normal(n, d, seed=s) * scale + shift, normal(m, d, seed=s + 9000), seed=s) for s in range(240)
    ]
    held = sum(e.low <= truth <= e.high for e in estimates) / len(estimates)
    assert 0.93 <= held <= most
    values = torch.tensor([e.value for e in estimates])
    assert values.mean().item() == pytest.approx(truth, abs=0.02 * truth + 4 * values.std().item() / 240**0.5)


def test_the_deviation_is_that_of_a_mean_for_a_shift_alone() -> None:
    """With equal covariances the transport is the identity: only 2 (μ₂ - μ₁)·x is left."""
    values = normal(5000, 3)
    values = (values - values.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(values.T))).T
    exact = Moments(3)
    exact.count, exact.scatter = 2, torch.eye(3).double()
    shift = torch.tensor([1.0, -2.0, 0.5]).double()
    expected = 2 * float(shift.norm()) / math.sqrt(5000)
    assert FrechetReference(exact).deviation(values + shift) == pytest.approx(expected, rel=1e-6)


# --- sliced Wasserstein ----------------------------------------------------------------------------------------------


def test_sliced_distance_of_shifted_and_scaled_samples() -> None:
    x = normal(4000, 1)
    assert sliced_wasserstein(x, x + 1.5, directions=4).value == pytest.approx(1.5, rel=1e-6)
    assert sliced_wasserstein(x, 2 * x).value == pytest.approx(x.abs().mean().item(), rel=0.01)
    # in d dimensions a shift m gives E|θ·m| = |m| Γ(d/2) / (√π Γ((d+1)/2))
    d, shift = 6, torch.tensor([3.0, 0, 0, 4.0, 0, 0]).double()
    expected = 5 * math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)
    y = normal(500, d)
    assert sliced_wasserstein(y, y + shift, directions=4096).value == pytest.approx(expected, rel=0.03)
    assert sliced_wasserstein(y, y[torch.randperm(500)]).value == pytest.approx(0, abs=1e-12)


def test_sets_of_different_size_are_compared_exactly() -> None:
    x, y = normal(3000, 2), normal(1100, 2, seed=1)
    assert sliced_wasserstein(x, y).value == pytest.approx(sliced_wasserstein(y, x).value, rel=1e-9)
    assert sliced_wasserstein(x, y).value < 0.06
    assert sliced_wasserstein(x.repeat_interleave(3, 0), x).value == pytest.approx(0, abs=1e-12)


def test_pyramids_add_up_and_patches_see_the_level_that_changed() -> None:
    pictures = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    levels = laplacian_pyramid(pictures, 3)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    for level in reversed(levels[:-1]):
        whole = level + enlarged(whole, level.shape[-2:])
    torch.testing.assert_close(whole, pictures, rtol=0, atol=1e-6)
    smooth = interpolate(torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(1)), (64, 64), mode="bilinear")
    grain = 0.05 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(2))
    one, other, noisy = (
        pyramid_patches(x, range(s, s + 40), 3, 16) for x, s in ((smooth, 0), (smooth, 99), (smooth + grain, 99))
    )
    assert one.shape == (40, 3, 16, 3, 7, 7)
    torch.testing.assert_close(pyramid_patches(smooth[5:6], [5], 3, 16)[0], one[5], msg="whatever stands beside it")
    same, changed = patch_distance(one, other).levels, patch_distance(one, noisy).levels
    assert changed[0] > 1.5 * same[0], "grain is in the finest level"
    assert changed[0] - same[0] > 3 * abs(changed[2] - same[2])


def test_a_slope_has_no_detail() -> None:
    """A pyramid whose levels lie half a pixel beside each other would find 0.25 of the slope."""
    slope = torch.arange(63, dtype=torch.float64)
    for ramp in (slope.expand(1, 3, 64, 63), slope[:, None].expand(1, 3, 63, 64)):
        for level in laplacian_pyramid(ramp, 3)[:-1]:
            assert level[..., 6:-6, 6:-6].abs().max() < 1e-12


# --- support size ----------------------------------------------------------------------------------------------------


def test_the_birthday_paradox_counts_the_atoms_of_a_generator() -> None:
    atoms = normal(200, 4) * 10
    sizes = []
    for seed in range(40):
        drawn = atoms[torch.randint(200, (80,), generator=torch.Generator().manual_seed(seed))]
        sizes.append(support_size(drawn, 1e-6).collisions)
    estimate = 80 * 79 / 2 / (sum(sizes) / 40)
    assert estimate == pytest.approx(200, rel=0.3)
    one = support_size(atoms[torch.randint(200, (150,), generator=torch.Generator().manual_seed(7))], 1e-6)
    assert one.size.value == pytest.approx(200, rel=0.3)
    none = support_size(normal(30, 4), 1e-9)
    assert none.is_bound
    assert none.size.value == 30 * 29 / 2
    with pytest.raises(ValueError, match="two samples"):
        support_size(atoms[:1], 1)


def test_nearest_are_what_brute_force_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advtasks.evaluation.support._ROWS", 7)
    x, y = normal(20, 3), normal(15, 3, seed=1)
    distances = torch.cdist(x, y)
    found, numbers = nearest(x, y)
    assert torch.equal(numbers, distances.argmin(1))
    torch.testing.assert_close(found, distances.amin(1))
    torch.testing.assert_close(nearest_other(x), torch.cdist(x, x).fill_diagonal_(9e9).amin(1))
    assert support_size(x, 1.0).collisions == int(
        (torch.cdist(x, x).triu(1) + 9e9 * torch.ones(20, 20).tril() < 1).sum()
    )


# --- path length -----------------------------------------------------------------------------------------------------


def test_path_length_of_a_linear_generator() -> None:
    """G(z) = A z, squared L2: a straight path of step ε between z₁ and z₂ is |A (z₂ - z₁)|² long."""
    matrix, first, second = normal(5, 3), normal(64, 3, seed=1), normal(64, 3, seed=2)
    squared = lambda x, y: (x - y).square().sum(1)  # noqa: E731
    expected = ((second - first) @ matrix.T).square().sum(1).mean().item()
    found = perceptual_path_length(lambda z: z @ matrix.T, first, second, squared, interpolate=linear, kept=1.0)
    assert found == pytest.approx(expected, rel=1e-6)
    # along the great circle of the identity it is the squared angle
    angles = torch.nn.functional.cosine_similarity(first, second).acos().square().mean().item()
    assert perceptual_path_length(lambda z: z, first, second, squared, kept=1.0) == pytest.approx(angles, rel=1e-4)
    dropped = perceptual_path_length(lambda z: z @ matrix.T, first, second, squared, interpolate=linear, kept=0.9)
    ordered = ((second - first) @ matrix.T).square().sum(1).sort().values
    assert dropped == pytest.approx(ordered[3:-3].mean().item(), rel=1e-6)
    most: list[int] = []
    counting = lambda z: (most.append(len(z)), z @ matrix.T)[1]  # noqa: E731
    batched = perceptual_path_length(counting, first, second, squared, interpolate=linear, kept=1.0, batch=10)
    assert batched == pytest.approx(expected, rel=1e-6)
    assert max(most) == 10
    with pytest.raises(ValueError, match="not finite"):
        perceptual_path_length(lambda z: z / 0, first, second, squared)


def test_spherical_paths_begin_and_end_where_they_should() -> None:
    first, second = normal(9, 4), normal(9, 4, seed=1)
    for share, end in ((0.0, first), (1.0, second)):
        found = spherical(first, second, torch.full((9, 1), share).double())
        torch.testing.assert_close(found, end / end.norm(dim=1, keepdim=True))


# --- classes ---------------------------------------------------------------------------------------------------------


def test_class_coverage_of_known_histograms() -> None:
    even = torch.arange(1000).repeat(3)
    found = class_coverage(even, 1000)
    assert (found.classes, found.divergence.value) == (1000, pytest.approx(0, abs=1e-9))
    half = class_coverage(even[even < 500], 1000)
    assert (half.classes, half.divergence.value) == (500, pytest.approx(math.log(2)))
    assert class_coverage(
        torch.tensor([3] * 10), 10, torch.tensor([3] * 5 + [4] * 5)
    ).divergence.value == pytest.approx(
        math.log(18 / 5)  # the eight classes that the reference lacks count one sample each
    )
    digits = torch.tensor([[0, 0, 0], [1, 2, 3], [9, 9, 9]])
    assert stacked(digits).tolist() == [0, 123, 999]


def test_multi_scale_similarity_is_by_picture() -> None:
    x, y = (torch.rand(3, 3, 180, 190, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    found = multi_scale_ssim(x, y)
    assert found.shape == (3,)
    for i in range(3):
        torch.testing.assert_close(multi_scale_ssim(x[i : i + 1], y[i : i + 1])[0], found[i])
    torch.testing.assert_close(multi_scale_ssim(x, x), torch.ones(3))
