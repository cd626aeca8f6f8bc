"""Losses of pictures: values in closed form, derivatives in float64, what they ignore."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from advtasks.errors import UsageError
from advtasks.evaluation.psnr_ssim import luma, ssim_y
from advtasks.losses import (
    charbonnier,
    focal_frequency,
    gradient_variance,
    locally_discriminative,
    luma_l1,
    multi_scale_ssim_loss,
    sobel_edges,
    ssim_loss,
    structural_similarity,
    total_variation,
)
from advtasks.losses.artifacts import artifact_map
from advtasks.losses.structural_similarity import SCALE_WEIGHTS

PAIRED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "charbonnier": charbonnier,
    "y-l1": luma_l1,
    "ssim": ssim_loss,
    "ms-ssim": multi_scale_ssim_loss,
    "sobel": sobel_edges,
    "gradient-variance": gradient_variance,
    "focal-frequency": focal_frequency,
    "ldl": locally_discriminative,
}


def pair(size: tuple[int, ...] = (2, 3, 24, 26)) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.rand(size, generator=draws, dtype=torch.float64), torch.rand(
        size, generator=draws, dtype=torch.float64
    )


@pytest.mark.parametrize("name", PAIRED)
def test_equal_pictures_cost_nothing_and_give_no_infinite_gradient(name: str) -> None:
    picture = pair()[0].float()
    output = picture.clone().requires_grad_(True)
    value = PAIRED[name](output, picture)
    value.backward()
    assert value.item() == pytest.approx(1e-3 if name == "charbonnier" else 0, abs=1e-6)
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


@pytest.mark.parametrize("name", PAIRED)
def test_a_batch_is_the_mean_of_its_pictures(name: str) -> None:
    output, target = pair()
    alone = torch.stack([PAIRED[name](output[i : i + 1], target[i : i + 1]) for i in range(2)]).mean()
    torch.testing.assert_close(PAIRED[name](output, target), alone)


@pytest.mark.parametrize("name", [name for name in PAIRED if name not in ("ldl", "focal-frequency")])
def test_gradients_equal_central_differences(name: str) -> None:
    output, target = pair((1, 3, 14, 13))
    assert torch.autograd.gradcheck(lambda x: PAIRED[name](x, target), output.requires_grad_(True))


def test_gradients_of_losses_whose_weights_are_held_fixed() -> None:
    output, target = pair((1, 2, 9, 8))
    output.requires_grad_(True)
    (found,) = torch.autograd.grad(locally_discriminative(output, target), output)
    wanted = artifact_map(output, target) * (output - target).sign() / output.numel()
    torch.testing.assert_close(found, wanted)

    weights = torch.fft.fft2(target - output.detach(), norm="ortho").abs()
    weights = weights / weights.amax(dim=(-2, -1), keepdim=True)

    def spectrum(x: Tensor) -> Tensor:
        return (weights * torch.fft.fft2(target - x, norm="ortho").abs().square()).mean()

    assert torch.autograd.gradcheck(spectrum, output)
    torch.testing.assert_close(focal_frequency(output, target), spectrum(output))
    expected, found = (torch.autograd.grad(f, output)[0] for f in (spectrum(output), focal_frequency(output, target)))
    torch.testing.assert_close(found, expected)


def test_total_variation() -> None:
    ramp = torch.arange(6, dtype=torch.float64).mul(0.1).expand(1, 3, 5, 6)
    assert total_variation(ramp).item() == pytest.approx(0.1)
    assert total_variation(ramp.transpose(2, 3)).item() == pytest.approx(0.1)
    assert total_variation(torch.full((1, 3, 4, 4), 0.7)).item() == 0
    assert torch.autograd.gradcheck(total_variation, pair((1, 2, 4, 5))[0].requires_grad_(True))


def test_sobel_measures_slopes_and_not_offsets() -> None:
    ramp = torch.arange(8, dtype=torch.float64).mul(0.1).expand(1, 3, 8, 8)
    flat = torch.zeros_like(ramp)
    assert sobel_edges(ramp, flat).item() == pytest.approx(0.1), "a slope of 0.1 along the rows, none along the columns"
    assert sobel_edges(ramp + 0.3, ramp).item() == pytest.approx(0, abs=1e-12)


def test_gradient_variance_by_hand() -> None:
    step = torch.zeros(1, 3, 10, 10, dtype=torch.float64)
    step[..., 5:] = 1  # the derivative is 1/2 in two of the eight columns
    columns = torch.tensor([0.0] * 3 + [0.5] * 2 + [0.0] * 3, dtype=torch.float64)
    expected = columns.repeat(8).var().square()
    assert gradient_variance(step, torch.zeros_like(step)).item() == pytest.approx(expected.item())
    with pytest.raises(UsageError, match="from 10 pixels"):
        gradient_variance(step[..., :9], step[..., :9])


def test_focal_frequency_of_one_wave() -> None:
    columns = torch.arange(16, dtype=torch.float64)
    wave = 0.2 * torch.cos(2 * math.pi * 3 * columns / 16).expand(1, 1, 16, 16)
    other = wave + 0.1 * torch.cos(2 * math.pi * 5 * columns / 16)
    # two conjugate frequencies of |F|² = (N a / 2)² / N², N = 16·16 places, both of weight 1
    assert focal_frequency(wave, torch.zeros_like(wave)).item() == pytest.approx(mse_loss(wave, wave * 0).item())
    # the second wave is half as high: weight 1/2
    expected = 0.2**2 / 2 + 0.5 * 0.1**2 / 2
    assert focal_frequency(other, torch.zeros_like(wave)).item() == pytest.approx(expected)
    output, target = pair()
    torch.testing.assert_close(focal_frequency(output, target, alpha=0), mse_loss(output, target))


def test_the_artifact_map_against_loops() -> None:
    output, target = (x[:1] for x in pair((1, 3, 10, 9)))
    residual = (target - output).abs().sum(1)[0]
    mirrored = torch.nn.functional.pad(residual[None, None], (3, 3, 3, 3), mode="reflect")[0, 0]
    expected = torch.empty(10, 9, dtype=torch.float64)
    for i in range(10):
        for j in range(9):
            expected[i, j] = mirrored[i : i + 7, j : j + 7].flatten().var()
    expected *= residual.var() ** 0.2
    torch.testing.assert_close(artifact_map(output, target)[0, 0], expected)
    torch.testing.assert_close(locally_discriminative(output, target), (expected * (target - output)).abs().mean())
    average = target + 2 * (output - target)
    average[..., :4] = target[..., :4]
    refined = artifact_map(output, target, average)[0, 0]
    assert refined[:, 4:].abs().max() == 0, "the output is nearer than the average there"
    torch.testing.assert_close(refined[:, :4], expected[:, :4])
    flat = torch.full_like(target, 0.2)
    assert locally_discriminative(target + flat, target).item() == pytest.approx(0, abs=1e-12), "an even offset is none"


def test_luma_is_that_of_the_protocol() -> None:
    output, target = pair()
    expected = l1_loss(luma(output * 255), luma(target * 255)) / 255
    torch.testing.assert_close(luma_l1(output, target), expected)
    colour = torch.zeros_like(output)
    colour[:, 0], colour[:, 1] = 0.1, -0.1 * 65.481 / 128.553
    assert luma_l1(output + colour, output).item() == pytest.approx(0, abs=1e-9)


def test_ssim_is_that_of_the_metric_and_multi_scale_of_its_formula() -> None:
    grey = [x[:, :1].mul(255).round().div(255).expand(-1, 3, -1, -1) for x in pair((1, 3, 40, 44))]
    x, y = (luma(g * 255)[:, :1] for g in grey)
    from advtasks.losses.structural_similarity import similarity_maps

    assert similarity_maps(x, y, 255.0)[0].mean().item() == pytest.approx(ssim_y(*grey, 0).item())
    output, target = pair((1, 1, 180, 190))
    near = 0.8 * target + 0.2 * output
    product, one, other = 1.0, near, target
    for number, weight in enumerate(SCALE_WEIGHTS, 1):
        similarity, structure = similarity_maps(one, other, 1.0)
        product *= (similarity if number == 5 else structure).mean().item() ** weight
        one, other = (p.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-2, -1)) for p in (one, other))
    assert multi_scale_ssim_loss(near, target).item() == pytest.approx(1 - product)
    one, other = near[..., :11, :11], target[..., :11, :11]
    torch.testing.assert_close(
        multi_scale_ssim_loss(one, other), ssim_loss(one, other), rtol=1e-3, atol=0
    )  # a single scale
    with pytest.raises(UsageError, match="only 10 a side"):
        ssim_loss(one[..., :10], other[..., :10])


@pytest.mark.parametrize("band", [1, 3 * 40 * 7, 2**19])
def test_similarities_in_bands_are_those_of_the_whole_picture(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = torch.rand(2, 1, 3, 37, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = [part.mean(dim=(-2, -1)) for part in structural_similarity.similarity_maps(x, y, 1.0)]
    monkeypatch.setattr(structural_similarity, "_BAND", band)
    with torch.no_grad():
        found = structural_similarity.mean_similarities(x, y, 1.0)
    for one, other in zip(found, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0)
    leaf = x.clone().requires_grad_(True)
    structural_similarity.mean_similarities(leaf, y, 1.0)[0].sum().backward()
    assert leaf.grad is not None
