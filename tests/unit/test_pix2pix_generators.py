"""Networks of translation: sizes, what depends on what, checkerboards, and the weights of another program."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from advtasks_pix2pix.checkerboard import checkerboard_energy
from advtasks_pix2pix.foreign import open_generator
from advtasks_pix2pix.generators import SPADE, Pix2PixHD, ResNet, UNet
from advtasks_pix2pix.generators.blocks import ResizeConv2d
from advtasks_pix2pix.generators.small_maps import SmallMapConv2d, SmallMapConvTranspose2d
from their_pix2pix import TheirResNet, TheirUNet
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, l1_loss

from advtasks.errors import BundleError
from advtasks.inference.tiling import run_tiled

SMALL: dict[str, Any] = {
    "unet": lambda **more: UNet(width=4, levels=5, **more),
    "resnet": lambda **more: ResNet(width=4, blocks=2, **more),
    "pix2pixhd": lambda **more: Pix2PixHD(width=8, downs=2, blocks=2, enhancer_blocks=1, **more),
    "spade": lambda **more: SPADE(3, width=2, **more),
}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_networks_are_as_large_as_the_papers() -> None:
    with torch.device("meta"):
        paper = {"norm": "batch", "upsample": "transposed"}
        assert parameters(UNet(**paper)) == 54_413_955
        assert parameters(UNet(levels=7, **paper)) == 41_828_995
        assert parameters(ResNet(upsample="transposed")) == 11_378_179
        assert parameters(ResNet(blocks=6, upsample="transposed")) == 7_837_699


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (37, 64), (70, 31)])
def test_any_size_in_and_the_same_size_out(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = SMALL[name](out_channels=2).eval()
    with torch.inference_mode():
        output = run_tiled(network, torch.rand(2, 3, *size), scale=1, radius=None, multiple_of=network.multiple_of)
    assert output.shape == (2, 2, *size)
    assert 0 <= output.min() <= output.max() <= 1
    with pytest.raises(ValueError, match="pad and crop"):
        network(torch.rand(1, 3, network.multiple_of + 1, network.multiple_of))


@pytest.mark.parametrize("name", SMALL)
def test_a_picture_alone_gives_what_it_gives_in_a_batch_in_training_and_after(name: str) -> None:
    torch.manual_seed(0)
    network = SMALL[name]()
    side = 2 * network.multiple_of
    pictures = torch.rand(8, 3, side, side)
    with torch.no_grad():
        together = network.train()(pictures)
        for training in (True, False):
            network.train(training)
            alone = torch.cat([network(picture[None]) for picture in pictures])
            torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)


def test_the_papers_behaviour_is_an_option() -> None:
    torch.manual_seed(0)
    same, paper = (
        UNet(width=4, levels=6, norm="batch", dropout=0.5, test_time=test).eval() for test in ("same", "paper")
    )
    paper.load_state_dict(same.state_dict(), strict=False)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(same(pictures), same(pictures))
        assert not torch.equal(paper(pictures), paper(pictures)), "dropout stays on"
        for module in paper.modules():
            if hasattr(module, "share"):
                module.share = 0.0
        assert torch.equal(paper(pictures), paper(pictures))
        assert not torch.allclose(paper(pictures)[:1], paper(pictures[:1]), atol=1e-4), "statistics of the batch"
        torch.testing.assert_close(same(pictures)[:1], same(pictures[:1]), rtol=0, atol=1e-6)


def test_dropout_that_stays_on_is_known_by_its_layers() -> None:
    paper = {"width": 4, "dropout": 0.5, "test_time": "paper"}
    assert not UNet(levels=5, **paper).is_random, "no level of a small U-Net has dropout"
    assert not UNet(width=4, levels=6, dropout=0.5).is_random, "only in training"
    network = UNet(levels=6, **paper).eval()
    settled = network.deterministic()
    assert network.is_random
    assert not settled.is_random
    assert settled.deterministic() is settled
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(settled(picture), settled(picture))


def test_noise_gives_one_input_several_outputs() -> None:
    torch.manual_seed(0)
    network = SMALL["unet"](noise_channels=4).eval()
    picture, noise = torch.rand(2, 3, 32, 32), torch.randn(2, 4)
    with torch.no_grad():
        assert torch.equal(network(picture), network(picture, torch.zeros(2, 4)))
        assert not torch.allclose(network(picture), network(picture, noise), atol=1e-4)
        torch.testing.assert_close(network(picture, noise)[1:], network(picture[1:], noise[1:]), rtol=0, atol=1e-5)


def test_spade_with_an_equal_map_everywhere_is_a_plain_norm() -> None:
    from advtasks_pix2pix.generators.spade import _Modulated

    torch.manual_seed(0)
    layer = _Modulated(4, 3)
    x, labels = torch.randn(2, 4, 9, 9), torch.full((2, 3, 9, 9), 0.7)
    inner = layer(x, labels)[..., 2:-2, 2:-2]
    normed = nn.functional.instance_norm(x)[..., 2:-2, 2:-2]
    for channel in range(4):
        a, b = normed[0, channel].flatten(), inner[0, channel].flatten()
        slope = (b[1] - b[0]) / (a[1] - a[0])
        torch.testing.assert_close(b, slope * (a - a[0]) + b[0], rtol=0, atol=1e-4)


# --- arithmetic --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 3, 15, 16, 40])
def test_resize_convolution_is_enlargement_and_convolution(side: int) -> None:
    torch.manual_seed(side)
    layer = ResizeConv2d(5, 7).double()
    x = torch.randn(2, 5, side, side + 1, dtype=torch.float64, requires_grad=True)
    expected = conv2d(interpolate(x, scale_factor=2.0, mode="nearest"), layer.weight, layer.bias, padding=1)
    seed = torch.randn_like(expected)
    found = torch.autograd.grad((layer(x) * seed).sum(), (x, layer.weight, layer.bias))
    wanted = torch.autograd.grad((expected * seed).sum(), (x, layer.weight, layer.bias))
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
def test_a_product_is_the_convolution(batch: int, side: int) -> None:
    torch.manual_seed(side)
    x = torch.randn(batch, 5, side, side, dtype=torch.float64, requires_grad=True)
    down, up = SmallMapConv2d(5, 7, 4, 2, 1).double(), SmallMapConvTranspose2d(5, 7, 4, 2, 1).double()
    odd = SmallMapConvTranspose2d(5, 7, 3, 2, 1, output_padding=1).double()
    pairs = [
        (up, lambda: conv_transpose2d(x, up.weight, up.bias, stride=2, padding=1)),
        (odd, lambda: conv_transpose2d(x, odd.weight, odd.bias, stride=2, padding=1, output_padding=1)),
    ]
    if side > 1:
        pairs.append((down, lambda: conv2d(x, down.weight, down.bias, stride=2, padding=1)))
    for layer, reference in pairs:
        expected = reference()
        seed = torch.randn_like(expected)
        found = torch.autograd.grad((layer(x) * seed).sum(), (x, layer.weight, layer.bias))
        wanted = torch.autograd.grad((expected * seed).sum(), (x, layer.weight, layer.bias))
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


# --- checkerboards -----------------------------------------------------------------------------------------------


def test_checkerboard_energy_of_known_pictures() -> None:
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(48), indexing="ij")
    board = ((rows + columns) % 2).float()[None, None]
    assert checkerboard_energy(board).item() == pytest.approx((32 * 48 - 1) / 3)
    assert checkerboard_energy(torch.full((1, 3, 8, 8), 0.3)).item() == 0
    assert checkerboard_energy(torch.sin(rows / 32 * 2 * torch.pi)[None, None]).item() == pytest.approx(0, abs=1e-9)
    noise = torch.randn(400, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert checkerboard_energy(noise).mean().item() == pytest.approx(1, abs=0.1)


def smooth(count: int, side: int) -> Tensor:
    """Pictures without any detail of their own."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return interpolate(coarse, (side, side), mode="bicubic", align_corners=False).clamp(0, 1)


@pytest.mark.parametrize("steps", [0, 25])
@pytest.mark.parametrize("name", ["unet", "resnet"])
def test_resize_convolutions_leave_no_checkerboard(name: str, steps: int) -> None:
    """Untrained, and after a short training to give the input back."""
    energies = {}
    for upsample in ("resize", "transposed"):
        values = []
        for seed in range(3):
            torch.manual_seed(seed)
            network = SMALL[name](upsample=upsample)
            pictures = smooth(4, 64)
            optimizer = torch.optim.Adam(network.parameters(), 2e-3)
            for _ in range(steps):
                optimizer.zero_grad()
                l1_loss(network(pictures), pictures).backward()
                optimizer.step()
            with torch.no_grad():
                values.append(checkerboard_energy(network(pictures)).mean().item())
        energies[upsample] = sum(values) / len(values)
    assert energies["transposed"] > 3 * energies["resize"], energies


# --- weights of pytorch-CycleGAN-and-pix2pix -----------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize(
    "make",
    [lambda n: TheirUNet(8, 4, n), lambda n: TheirUNet(7, 4, n), lambda n: TheirResNet(6, 4, n, False),
     lambda n: TheirResNet(9, 4, n, True)],
    ids=["unet_256", "unet_128", "resnet_6blocks", "resnet_9blocks-dropout"],
)  # fmt: skip
def test_weights_of_the_other_program_compute_what_they_compute_there(tmp_path: Path, make: Any, norm: str) -> None:
    torch.manual_seed(0)
    network = make(norm)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    path = tmp_path / "latest_net_G.pth"
    state = network.state_dict()
    if norm == "instance":  # what old versions of torch stored
        state["model.model.1.model.2.running_mean" if "unet" in str(path) else "model.2.running_mean"] = torch.zeros(4)
    torch.save(state if norm == "batch" else {f"module.{key}": value for key, value in state.items()}, path)
    own, manifest = open_generator(path)
    assert (manifest.verb, manifest.scale, manifest.channels, manifest.out_channels) == ("translate", 1, 1, 2)
    assert manifest.hyper_parameters["norm"] == norm
    picture = torch.rand(1, 1, 256, 256)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():  # their test script leaves the network in training mode
        expected = (network.train()(picture * 2 - 1) + 1) / 2
        torch.testing.assert_close(own(picture), expected, rtol=0, atol=1e-5)


def test_other_files_are_refused_and_no_code_runs(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "latest_net_G.pth"
    for content, message in (
        ({"model.model.0.weight": Malicious()}, "could run code"),
        ({"model.model.0.weight": torch.zeros(4, 3, 4, 4), "model.model.3.weight": torch.zeros(8, 3, 4, 4)}, "none"),
        ({"conv.weight": torch.zeros(1)}, "not a U-Net or ResNet"),
        ([1, 2], "something else"),
    ):
        torch.save(content, path)
        with pytest.raises(BundleError, match=message):
            open_generator(path)
    assert not (tmp_path / "owned").exists()
    assert list(itertools.islice(tmp_path.iterdir(), 2)) == [path]
