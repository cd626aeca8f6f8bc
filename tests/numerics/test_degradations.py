"""Degradations: kernels against their formulas, noise against its statistics, JPEG against a real encoder."""

from __future__ import annotations

import io
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from advtasks_sr.degradations import Draws, kernels, load_recipe
from advtasks_sr.degradations.blur import draw_final_kernels, draw_kernels, filtered
from advtasks_sr.degradations.jpeg import jpeg
from advtasks_sr.degradations.noise import noisy, poisson_noise, poisson_quantile
from advtasks_sr.degradations.recipe import Blur, Noise, Shapes
from advtasks_sr.degradations.resize import draw_factor, draw_modes, resized
from advtasks_sr.degradations.spread import choice
from advtasks_sr.sharpen import sharpened
from kornia.enhance import jpeg_codec_differentiable
from PIL import Image
from scipy import stats
from torch import Tensor

from advtasks.draws import SeededDraws

PHOTOS = sorted((Path(__file__).parents[2] / "datasets" / "photos").glob("*.jpg"))


def photo(number: int, side: int = 256) -> np.ndarray:
    with Image.open(PHOTOS[number]) as picture:
        return np.asarray(picture.convert("RGB"))[60 : 60 + side, 90 : 90 + side]


def floats(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def share_within(count: int, total: int, share: float) -> bool:
    """Within 4 standard deviations of the binomial distribution."""
    return abs(count / total - share) <= 4 * math.sqrt(share * (1 - share) / total) + 1e-9


# kernels


def test_gaussian_kernels_have_sum_1_and_the_covariance_of_their_formula() -> None:
    sigma_x, sigma_y, angle = (
        torch.tensor([2.0, 1.5, 1.0]),
        torch.tensor([2.0, 3.0, 2.0]),
        torch.tensor([0.3, 0.7, -2.0]),
    )
    squared = kernels.squared_distance(41, sigma_x, sigma_y, angle)
    found = kernels.cut_and_normalized(kernels.generalized_gaussian(squared, torch.ones(3)), torch.full((3,), 41))
    torch.testing.assert_close(found.sum((1, 2)), torch.ones(3))
    axis = torch.arange(41.0) - 20
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for kernel, sx, sy, turn in zip(found, sigma_x, sigma_y, angle, strict=True):
        rotation = torch.tensor([[turn.cos(), -turn.sin()], [turn.sin(), turn.cos()]])
        expected = rotation @ torch.diag(torch.stack((sx**2, sy**2))) @ rotation.T
        measured = torch.stack([(kernel * a * b).sum() for a, b in ((x, x), (x, y), (y, x), (y, y))]).view(2, 2)
        torch.testing.assert_close(measured, expected, rtol=1e-4, atol=1e-4)


def test_generalized_gaussian_is_the_gaussian_at_beta_1_and_a_disc_at_large_beta() -> None:
    squared = kernels.squared_distance(21, torch.tensor([3.0]), torch.tensor([3.0]), torch.zeros(1))
    line = cv2.getGaussianKernel(21, 3.0)
    one = kernels.cut_and_normalized(kernels.generalized_gaussian(squared, torch.ones(1)), torch.tensor([21]))
    np.testing.assert_allclose(one[0].numpy(), line @ line.T, atol=1e-7)
    disc = kernels.generalized_gaussian(squared, torch.tensor([200.0]))[0]
    assert torch.all((disc > 0.99) == (squared[0] < 0.95))


def test_plateau_is_its_formula() -> None:
    squared = kernels.squared_distance(21, torch.tensor([4.0]), torch.tensor([4.0]), torch.zeros(1))
    found = kernels.plateau(squared, torch.tensor([2.0]))[0]
    assert found[10, 10] == 1
    assert found[10, 14].item() == pytest.approx(0.5), "half at one sigma, for every beta"
    assert found[10, 18].item() == pytest.approx(1 / 17)
    assert found[10, 12].item() == pytest.approx(1 / (1 + 0.25**2))


@pytest.mark.parametrize("cutoff", [0.3, 0.5, 0.8])
def test_sinc_lets_pass_what_is_below_its_cutoff(cutoff: float) -> None:
    size = 101
    kernel = kernels.cut_and_normalized(kernels.sinc(size, torch.tensor([cutoff * math.pi])), torch.tensor([size]))[0]
    response = torch.fft.fft2(kernel).abs()
    frequency = torch.fft.fftfreq(size) * 2  # in units of the highest
    radius = (frequency[:, None] ** 2 + frequency[None, :] ** 2).sqrt()
    assert response[radius < cutoff - 0.06].sub(1).abs().max() < 0.1
    assert response[radius > cutoff + 0.06].max() < 0.1
    middle = kernels.sinc(21, torch.tensor([cutoff * math.pi]))[0, 10, 9:12]
    assert middle[0] < middle[1] > middle[2], "the middle is the limit of the formula"
    # J1(x)/x -> 1/2 - x²/16, so next to 0 the formula goes to w²/(4 pi)
    tiny = kernels.sinc(3, torch.tensor([1e-3]))[0]
    torch.testing.assert_close(tiny, torch.full((3, 3), 1e-6 / (4 * math.pi), dtype=torch.float64), rtol=1e-5, atol=0)


def test_drawn_kernels_have_the_shares_and_sizes_of_the_recipe() -> None:
    recipe = load_recipe("realesrgan")
    assert recipe is not None
    rows = 4000
    blur = recipe.passes[0].blur
    found = draw_kernels(blur, rows, SeededDraws(0))
    torch.testing.assert_close(found.sum((1, 2)), torch.ones(rows))
    wide = draw_kernels(Blur(sigma=(3, 3)), rows, SeededDraws(3))
    inside = [int((kernel.amax(0) > 0).sum()) for kernel in wide]
    assert set(inside) == {7, 9, 11, 13, 15, 17, 19, 21}
    for size in set(inside):
        assert share_within(inside.count(size), rows, 1 / 8)
    ringing = int((found.amin((1, 2)) < -1e-6).sum())
    assert share_within(ringing, rows, blur.sinc), "only sinc kernels are negative anywhere"
    some = draw_kernels(Blur(probability=0.8, sigma=(1, 1)), rows, SeededDraws(1))
    assert share_within(int((some.amax((1, 2)) == 1).sum()), rows, 0.2)


def test_small_sinc_kernels_have_a_higher_lowest_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    cutoffs: list[Tensor] = []
    real = kernels.sinc

    def noted(size: int, cutoff: Tensor) -> Tensor:
        cutoffs.append(cutoff / math.pi)
        return real(size, cutoff)

    monkeypatch.setattr(kernels, "sinc", noted)
    for sizes, lowest in (((7, 11), 1 / 3), ((13, 21), 0.2)):
        draw_kernels(Blur(sinc=1, sizes=sizes), 2000, SeededDraws(0))
        assert lowest <= cutoffs[-1].min() < lowest + 0.01
        assert 0.99 < cutoffs[-1].max() <= 1
    final = load_recipe("realesrgan")
    assert final is not None
    drawn = draw_final_kernels(final.final, 2000, SeededDraws(0))
    assert share_within(int((drawn.amin((1, 2)) < -1e-6).sum()), 2000, 0.8)
    assert 1 / 3 <= cutoffs[-1].min() < 0.34


def test_each_shape_is_drawn_as_often_as_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weights = 6000, [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    numbers = choice(torch.rand(rows, generator=torch.Generator().manual_seed(0)), weights)
    for number, weight in enumerate(weights):
        assert share_within(int((numbers == number).sum()), rows, weight)
    assert choice(torch.tensor([0.0, 1.0]), [0.0, 1.0, 0.0]).tolist() == [1, 1]
    seen: dict[str, list[float]] = {}
    real_gaussian, real_plateau, real_distance = kernels.generalized_gaussian, kernels.plateau, kernels.squared_distance

    def note(name: str, real):
        def call(squared: Tensor, beta: Tensor) -> Tensor:
            seen[name] = beta.tolist()
            return real(squared, beta)

        return call

    def distance(size: int, sigma_x: Tensor, sigma_y: Tensor, angle: Tensor) -> Tensor:
        seen["sigma_x"], seen["sigma_y"], seen["angle"] = sigma_x.tolist(), sigma_y.tolist(), angle.tolist()
        return real_distance(size, sigma_x, sigma_y, angle)

    monkeypatch.setattr(kernels, "generalized_gaussian", note("generalized", real_gaussian))
    monkeypatch.setattr(kernels, "plateau", note("plateau", real_plateau))
    monkeypatch.setattr(kernels, "squared_distance", distance)
    recipe = load_recipe("realesrgan")
    assert recipe is not None
    draw_kernels(recipe.passes[0].blur, rows, SeededDraws(2))
    assert 0.2 <= min(seen["sigma_x"]) < 0.21
    assert 2.99 < max(seen["sigma_x"]) <= 3
    assert -math.pi <= min(seen["angle"]) < -3.13
    equal = sum(a == b for a, b in zip(seen["sigma_x"], seen["sigma_y"], strict=True))
    assert share_within(equal, rows, 0.69), "isotropic kinds have one width"
    generalized = [beta for beta in seen["generalized"] if beta != 1]
    assert share_within(len(generalized), rows, 0.15)
    assert share_within(sum(beta < 1 for beta in generalized), len(generalized), 0.5)
    assert 0.5 <= min(generalized) <= max(generalized) <= 4
    assert share_within(sum(beta == 1 for beta in seen["plateau"]), rows, 0.5)
    assert 1 <= min(seen["plateau"]) <= max(seen["plateau"]) <= 2


def test_each_picture_is_filtered_with_its_own_kernel_and_small_ones_are_mirrored_on() -> None:
    pictures = torch.rand(3, 3, 30, 24, dtype=torch.float64)
    each = draw_kernels(Blur(shapes=Shapes(anisotropic=1), sigma=(1, 3)), 3, SeededDraws(0)).double()
    found = filtered(pictures, each)
    for number in range(3):
        for channel in range(3):
            expected = cv2.filter2D(
                pictures[number, channel].numpy(), -1, each[number].numpy(), borderType=cv2.BORDER_REFLECT_101
            )
            np.testing.assert_allclose(found[number, channel].numpy(), expected, atol=1e-12)
    for height, width in ((1, 1), (2, 5), (5, 2)):
        small = filtered(pictures[:, :, :height, :width], each)
        assert small.shape[-2:] == (height, width)
        for number in range(3):
            wide = np.pad(pictures[number, 0, :height, :width].numpy(), 10, mode="reflect")
            expected = cv2.filter2D(wide, -1, each[number].numpy())[10:-10, 10:-10]
            np.testing.assert_allclose(small[number, 0].numpy(), expected, atol=1e-12)


# resizes


def test_resize_factors_have_the_shares_and_ranges_of_the_recipe() -> None:
    recipe = load_recipe("realesrgan")
    assert recipe is not None
    for part, (up, down, keep), (low, high) in zip(
        recipe.passes, ((0.2, 0.7, 0.1), (0.3, 0.4, 0.3)), ((0.15, 1.5), (0.3, 1.2)), strict=True
    ):
        draws = SeededDraws(4)
        factors = [draw_factor(part.resize, draws) for _ in range(4000)]
        assert low <= min(factors) <= max(factors) <= high
        for share, test in ((up, lambda f: f > 1), (down, lambda f: f < 1), (keep, lambda f: f == 1)):
            assert share_within(sum(map(test, factors)), len(factors), share)
    modes = draw_modes(("area", "bilinear", "bicubic"), 3000, SeededDraws(5))
    for mode in ("area", "bilinear", "bicubic"):
        assert share_within(modes.count(mode), 3000, 1 / 3)


def test_resizes_are_those_of_opencv_and_pillow() -> None:
    pixels = photo(3, 96)
    picture = floats(pixels).expand(4, -1, -1, -1)
    found = resized(picture, (24, 32), ["bilinear", "area", "bicubic", "antialiased"]).permute(0, 2, 3, 1).numpy()
    source = pixels.astype(np.float32) / 255
    for number, code in ((0, cv2.INTER_LINEAR), (1, cv2.INTER_AREA), (2, cv2.INTER_CUBIC)):
        np.testing.assert_allclose(found[number], cv2.resize(source, (32, 24), interpolation=code), atol=1e-5)
    expected = np.asarray(Image.fromarray(pixels).resize((32, 24), Image.Resampling.BICUBIC)) / 255
    assert np.abs(found[3].clip(0, 1) - expected).max() < 1.01 / 255


# noise


def test_gaussian_noise_has_its_sigma_and_grey_noise_is_the_same_in_all_channels() -> None:
    flat = torch.full((64, 3, 64, 64), 0.5)
    found = noisy(flat, Noise(gaussian=1, sigma=(10, 10), grey=0), SeededDraws(0)) - 0.5
    assert found.std().item() * 255 == pytest.approx(10, rel=0.01)
    assert abs(torch.corrcoef(found.transpose(0, 1).flatten(1))[0, 1].item()) < 0.01
    grey = noisy(flat, Noise(gaussian=1, sigma=(10, 10), grey=1), SeededDraws(0)) - 0.5
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert grey.std().item() * 255 == pytest.approx(10, rel=0.02)


def test_poisson_quantiles_are_those_of_scipy() -> None:
    z = torch.linspace(-4.5, 4.5, 4001)
    for rate in (0.05, 0.5, 1.0, 3.0, 10.0, 64.0, 256.0):
        expected = stats.poisson.ppf(stats.norm.cdf(z.double().numpy()), rate)
        found = poisson_quantile(torch.full_like(z, rate), z).numpy()
        assert (found != expected).mean() < 2e-3, "only where the last bit of the probability decides"
        assert np.abs(found - expected).max() <= 1
    assert (poisson_quantile(torch.zeros(100), torch.randn(100)) == 0).all()


def test_poisson_noise_has_mean_0_and_the_variance_of_photon_counts() -> None:
    rows, side = 4, 128
    ramp = torch.arange(side).repeat(side, 1) * 2.0 / 255  # 128 levels
    pictures = ramp.expand(rows, 3, side, side)
    found = poisson_noise(pictures, torch.randn(rows, 3, side, side, generator=torch.Generator().manual_seed(0)))
    for column in (16, 64, 120):
        level = found[..., column].double()
        expected = ramp[0, column].item() / 128
        assert level.var().item() == pytest.approx(expected, rel=0.12)
        assert abs(level.mean().item()) < 4 * math.sqrt(expected / level.numel())
    grey = poisson_noise(pictures, torch.randn(rows, 1, side, side))
    assert grey.shape == (rows, 1, side, side)


def test_noise_kinds_have_the_shares_of_the_recipe() -> None:
    rows = 3000
    flat = torch.full((rows, 3, 8, 8), 0.5)  # one level: photons are counted with v = 1, so pictures become 0, 0.5 or 1
    found = noisy(flat, Noise(probability=0.9, gaussian=0.5, sigma=(5, 5), strength=(1, 1), grey=0.4), SeededDraws(7))
    untouched = (found == flat).flatten(1).all(1)
    gaussian = ((found - 0.5).abs() < 0.2).flatten(1).all(1) & ~untouched
    grey = (found[:, :1] == found).flatten(1).all(1) & ~untouched
    assert share_within(int(untouched.sum()), rows, 0.1)
    assert share_within(int(gaussian.sum()), rows, 0.45)
    assert share_within(int(grey.sum()), rows, 0.36)


# JPEG


def real_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file)).astype(np.float64)


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 95])
@pytest.mark.parametrize("size", [(256, 256), (97, 150), (16, 9), (3, 1)])
def test_jpeg_is_what_pillow_gives(quality: int, size: tuple[int, int]) -> None:
    """Mean difference within 0.4 of 255 levels, which is libjpeg's integer arithmetic; most often far less. In a picture of
    one or two blocks a single coefficient that it rounds to the other side is a level everywhere."""
    found = []
    for number in range(8):
        pixels = photo(number)[: size[0], : size[1]]
        ours = jpeg(floats(pixels), torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy() * 255
        assert ours.shape == pixels.shape
        found.append(np.abs(ours - real_jpeg(pixels, quality)).mean())
    assert max(found) < (0.4 if size[0] > 16 else 1.3), found
    assert np.median(found) < 0.35 if size[0] > 16 else np.median(found) < 0.2, found


def test_jpeg_is_nearer_to_a_real_one_than_kornias_codec() -> None:
    pixels = photo(0)
    for quality in (30, 75, 95):
        real, given = real_jpeg(pixels, quality), torch.tensor([float(quality)])
        ours, other = (
            np.abs(code(floats(pixels), given)[0].permute(1, 2, 0).numpy() * 255 - real).mean()
            for code in (jpeg, jpeg_codec_differentiable)
        )
        assert ours < other / 2.5


def test_jpeg_error_falls_with_quality_and_each_picture_has_its_own() -> None:
    picture = floats(photo(5))
    qualities = torch.tensor([5.0, 10, 20, 30, 50, 70, 80, 90, 95, 100])
    found = jpeg(picture.expand(len(qualities), -1, -1, -1), qualities)
    errors = (found - picture).abs().mean((1, 2, 3))
    assert (errors.diff() < 0).all()
    for number, quality in enumerate(qualities):
        assert torch.equal(found[number], jpeg(picture, quality[None])[0])
    assert torch.equal(found, jpeg(picture.expand(10, -1, -1, -1), qualities + 0.3)), "qualities are whole numbers"


# sharpening


def test_sharpening_is_unsharp_masking_by_opencv() -> None:
    for number in (1, 4):
        pixels = photo(number, 120).astype(np.float64) / 255
        blurred = cv2.GaussianBlur(pixels, (51, 51), 0, borderType=cv2.BORDER_REFLECT_101)
        residual = pixels - blurred
        mask = cv2.GaussianBlur(
            (np.abs(residual) * 255 > 10).astype(np.float64), (51, 51), 0, borderType=cv2.BORDER_REFLECT_101
        )
        expected = mask * np.clip(pixels + 0.5 * residual, 0, 1) + (1 - mask) * pixels
        found = sharpened(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert found.std() > pixels.std()


def test_shared_numbers_are_shared_and_rows_are_not() -> None:
    torch.manual_seed(0)
    draws = Draws()
    assert len(set(draws.shared(2))) == 2
    assert draws.shared(1) != draws.shared(1)
    assert len(set(draws.uniform(5).tolist())) == 5
