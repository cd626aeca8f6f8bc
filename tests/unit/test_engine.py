"""One engine for all image-to-image networks: kinds of images, precision, memory, reach, sizes."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from advtasks_sr.generators import Compact, RRDBNet, SRResNet
from PIL import Image, ImageCms
from torch import Tensor, nn

from advtasks.bundle import Manifest
from advtasks.errors import AdvtasksError
from advtasks.inference import compiled, engine
from advtasks.inference.cost import MARGIN, available, bytes_per_pixel, left_in_group
from advtasks.inference.engine import ImageModel
from advtasks.inference.reach import effective_radius
from advtasks.inference.resample import resampled
from advtasks.inference.runner import Runner, difference
from advtasks.inference.tensors import FlatSource
from advtasks.pictures.picture import Metadata, Picture

CPU = torch.device("cpu")


def manifest(scale: int, radius: int | None, **more: object) -> Manifest:
    return Manifest(
        task="", verb="upscale", plugin="", plugin_version="", advtasks_version="", generator="", hyper_parameters={},
        channels=3, scale=scale, receptive_radius=radius, multiple_of=1, **more,
    )  # fmt: skip


def compact(**options: object) -> ImageModel:
    torch.manual_seed(0)
    network = Compact(2, 8, 2)
    return ImageModel(network, manifest(2, network.receptive_radius), **options)  # type: ignore[arg-type]


# --- kinds of images ---------------------------------------------------------------------------------------------


def test_an_image_comes_back_as_what_it_was(tmp_path: Path) -> None:
    model = compact()
    array = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    expected = model(torch.from_numpy(array).permute(2, 0, 1) / 255)
    assert (expected.shape, expected.dtype) == ((3, 18, 26), torch.float32)
    assert model(torch.rand(2, 3, 5, 5)).shape == (2, 3, 10, 10)
    levels = (expected * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
    assert np.array_equal(model(array), levels)
    assert np.array_equal(np.asarray(model(Image.fromarray(array))), levels)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(model(tmp_path / "a.png")), levels)
    assert np.array_equal(np.asarray(model(str(tmp_path / "a.png"))), levels)
    assert np.array_equal(model(Picture(array)).pixels, levels)
    assert model(array[..., 0]).shape == (18, 26)
    assert model(array[..., :1]).shape == (18, 26, 1)
    assert model(np.dstack([array, array[..., :1]])).shape == (18, 26, 4)
    assert model(array.astype(np.uint16)).dtype == np.uint16
    assert model(Image.fromarray(array).convert("L")).mode == "L"
    for wrong in (array.astype(np.float32), 5, np.zeros((2, 2, 2, 2), np.uint8)):
        with pytest.raises(TypeError):
            model(wrong)


def test_what_a_picture_says_about_itself_comes_back_with_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png", exif=exif, icc_profile=profile, dpi=(300, 300))
    with Image.open(tmp_path / "a.png") as image:
        for given in (image, tmp_path / "a.png"):
            compact()(given).save(tmp_path / "b.jpg", dpi=(300, 300), exif=image.getexif())
            found = compact()(given)
            assert found.info["icc_profile"] == profile
            assert found.info["dpi"] == pytest.approx((300, 300), abs=0.01)
            assert found.getexif()[0x010F] == "maker"


@pytest.mark.parametrize(
    "nothing", [np.zeros((0, 5, 3), np.uint8), torch.zeros(3, 0, 5), torch.zeros(5, 5)], ids=["array", "tensor", "flat"]
)
def test_an_image_without_pixels_is_refused(nothing: Any) -> None:
    with pytest.raises(ValueError, match="pixels"):
        compact()(nothing)


def test_several_threads_get_what_one_gets() -> None:
    model = compact(tile=8)
    images = [np.random.default_rng(k).integers(0, 256, (20 + k, 30, 3), dtype=np.uint8) for k in range(6)]
    expected = [model(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(model, images), expected, strict=True):
            assert np.array_equal(found, wanted)
    assert threading.active_count() < 20


def test_an_opacity_that_is_the_same_everywhere_costs_nothing() -> None:
    calls: list[int] = []

    class Count(nn.Module):
        def forward(self, tile: Tensor) -> Tensor:
            calls.append(len(tile))
            return tile

    model = ImageModel(Count(), manifest(1, 0), tile=16)
    rgba = np.full((6, 6, 4), 200, np.uint8)
    output = model(rgba)
    assert calls == [1]
    assert np.array_equal(output, rgba)
    rgba[2, 2, 3] = 3
    output = model(rgba)
    assert calls == [1, 2], "colour and opacity go through the network together"
    assert np.abs(output.astype(int) - rgba).max() <= 1
    rgba[..., 3] = 0
    assert np.array_equal(model(rgba)[..., 3], rgba[..., 3])


def test_transparency_of_any_kind_comes_back_from_an_identity_within_a_level() -> None:
    """The peers' D8: premultiplied colour with straight alpha gives dark fringes."""
    rng = np.random.default_rng(0)
    model = ImageModel(nn.Identity(), manifest(1, 0))
    for dtype, top in ((np.uint8, 255), (np.uint16, 65535)):
        given = rng.integers(0, top + 1, (60, 70, 4)).astype(dtype)
        given[:5, :, 3] = 1
        found = model(given)
        visible = given[..., 3] > 0
        assert np.abs(found.astype(int) - given)[visible].max() <= 1
        assert np.array_equal(found[..., 3], given[..., 3])


def test_an_average_over_eight_versions_does_not_depend_on_which_way_up_a_picture_is() -> None:
    model = compact(ensemble=True)
    picture = torch.rand(1, 3, 12, 12)
    found = model(picture)
    torch.testing.assert_close(model(picture.rot90(1, (2, 3))), found.rot90(1, (2, 3)), rtol=0, atol=1e-6)
    torch.testing.assert_close(model(picture.flip(3)), found.flip(3), rtol=0, atol=1e-6)
    assert not torch.allclose(found, compact()(picture), atol=1e-4)


# --- precision ---------------------------------------------------------------------------------------------------


class Overflowing(nn.Module):
    """float16 cannot hold what float32 can."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        nn.init.constant_(self.conv.weight, factor)
        self.factor = factor

    def forward(self, tile: Tensor) -> Tensor:
        return self.conv(tile) / (3 * self.factor)


def test_a_tile_that_is_not_finite_is_repeated_in_a_wider_format() -> None:
    said: list[str] = []
    network = Overflowing(40_000.0)
    runner = Runner(network, CPU, "fp16", said.append)
    tile = torch.full((1, 3, 4, 4), 0.9)
    with torch.inference_mode():
        output = runner(tile)
        torch.testing.assert_close(output, network(tile), rtol=0, atol=0.02)
    assert "not finite" in said[0]
    assert "bf16" in said[0]


class Coarse(nn.Module):
    """A difference of large numbers; nothing where the picture is black."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)

    def forward(self, tile: Tensor) -> Tensor:
        y = self.conv(tile)
        return tile.float() + (y + 64.0 - 64.0).float() - y.float()


@pytest.mark.parametrize("where", ["next picture", "corner"])
def test_half_precision_is_not_accepted_for_what_nothing_is_to_be_seen_on(where: str) -> None:
    model = ImageModel(Coarse(), manifest(1, 1), precision="bf16", tile=1000)
    pictures = torch.zeros(2, 3, 200, 200)
    if where == "corner":
        pictures[0, :, :50, :50] = torch.rand(3, 50, 50)
    else:
        model(pictures[0])
        assert (model.runner.precision, model.runner.undecided) == ("bf16", True)
        pictures[1] = torch.rand(3, 200, 200)
    model(pictures[int(where == "next picture")])
    assert (model.runner.precision, model.runner.undecided) == ("fp32", False)


def test_half_precision_is_refused_where_it_can_be_seen() -> None:
    said: list[str] = []
    runner = Runner(Coarse(), CPU, "bf16", said.append)
    with torch.inference_mode():
        runner.check(torch.rand(1, 3, 16, 16))
    assert runner.precision == "fp32"
    assert "not used" in said[0]


def test_half_precision_is_used_where_it_is_harmless_and_the_difference_is_known() -> None:
    model = compact(precision="bf16")
    picture = torch.rand(1, 3, 40, 40)
    output = model(picture)
    assert model.runner.precision == "bf16"
    assert model.runner.checked is not None
    assert model.runner.checked.harmless
    assert 45 < difference(output, compact()(picture)).psnr < math.inf
    assert next(model.network.parameters()).dtype == torch.float32, "the network itself is left as it is"


def test_a_network_that_does_not_support_bf16_is_not_asked_to() -> None:
    network = Compact(2, 8, 2)
    known = dataclasses.replace(manifest(2, 2), precisions=("fp32",))
    assert ImageModel(network, known, precision="auto").runner.precision == "fp32"


def test_the_difference_of_two_outputs() -> None:
    one = torch.zeros(1, 1, 10, 10)
    other = one.clone()
    other[0, 0, 0, :5] = 10 / 255
    found = difference(other, one)
    assert found.off == pytest.approx(0.05)
    assert found.psnr == pytest.approx(-10 * math.log10(0.05 * (10 / 255) ** 2))
    assert difference(one, one).psnr == math.inf
    assert not difference(one * math.nan, one).harmless


class Halving(nn.Module):
    """Computes its argument; slow as itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, tile: Tensor) -> Tensor:
        time.sleep(0.02)
        return tile * self.weight


@pytest.mark.parametrize(
    ("made", "used", "message"),
    [
        (lambda net: lambda tile: tile.clone(), True, ", used"),
        (lambda net: lambda tile: (time.sleep(0.05), tile.clone())[1], False, "not used"),
        (lambda net: lambda tile: tile + 0.1, False, "not used"),
        (lambda net: 1 / 0, False, "could not be compiled"),
    ],
    ids=["faster", "slower", "wrong", "failing"],
)
def test_compiling_is_decided_by_measuring(
    monkeypatch: pytest.MonkeyPatch, made: Any, used: bool, message: str
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, dynamic: made(network))
    monkeypatch.setattr(compiled, "AFTER", 0.05)
    said: list[str] = []
    network = compiled.CompiledWhereItPays(Halving(), said.append)
    tile, other = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 5, 4)
    with torch.inference_mode():
        for number in range(6):
            assert torch.equal(network(tile), tile)
            if number < 5:
                assert torch.equal(network(other), other)
            if number == 1:
                assert not said, "not before it has taken long enough"
    assert message in said[0]
    assert (network.decided[tile.shape] is not network.network) == used


# --- memory and reach --------------------------------------------------------------------------------------------


def test_memory_is_counted_as_a_hand_counts_it() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 3, 3, 1, 1)

        def forward(self, tile: Tensor) -> Tensor:
            return self.second(self.first(tile))

    # input 3, 16 features, output 3; the second convolution's input may exist twice; weights count too
    for multiple in (1, 24, 64):
        assert bytes_per_pixel(Two(), multiple_of=multiple) == pytest.approx(4 * (3 + 16 + 3 + 16), rel=0.05)


def test_a_limit_of_memory_makes_tiles_smaller_and_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (180, 240, 3), dtype=np.uint8)
    free = compact()
    expected = free(picture)
    per_pixel = int(bytes_per_pixel(free.network) * MARGIN) + 16 * 3 * 4
    monkeypatch.setattr(engine, "available", lambda device, limit: per_pixel * 10_000)
    tiles: list[int] = []
    tight = compact()
    found = tight(picture, lambda done, of: tiles.append(of))
    assert tiles[0] > 4
    assert tight.area() == 6000, "the rest is for the output of a row of tiles"
    assert np.abs(found.astype(int) - expected).max() <= 1
    monkeypatch.undo()
    assert available(CPU, 1) == 0
    said: list[str] = []
    starved = compact(max_memory=1, say=said.append)
    assert starved.area() == 64 * 64
    for _ in range(2):
        assert np.abs(starved(picture).astype(int) - expected).max() <= 1, "with no memory left it still goes on"
    assert len(said) == 1, "and says what that costs, once"
    assert "--max-memory" in said[0]


def test_the_device_is_chosen_where_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    monkeypatch.setattr(engine, "choose_device", lambda name: asked.append(name) or CPU)
    network = Compact(2, 8, 2)
    monkeypatch.setattr(engine, "open_model", lambda path: (network, manifest(2, network.receptive_radius)))
    assert ImageModel.load(tmp_path).device == CPU
    assert asked == ["auto"]
    assert ImageModel.load(tmp_path, "cpu").device == CPU
    assert len(asked) == 1


def test_pages_of_files_that_were_read_are_free_memory(tmp_path: Path) -> None:
    for name, text in (("max", "1000\n"), ("current", "900\n"), ("stat", "anon 300\ninactive_file 500\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert left_in_group(tmp_path) == 600
    (tmp_path / "memory.current").write_text("2000\n")
    assert left_in_group(tmp_path) == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert left_in_group(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize(
    "network", [SRResNet(4, 8, 2), Compact(3, 8, 6), RRDBNet(4, 8, 1, 4)], ids=["srresnet", "compact", "rrdb"]
)
def test_the_reach_that_is_measured_is_enough_for_the_network(network: nn.Module) -> None:
    torch.manual_seed(0)
    for name, parameter in network.named_parameters():
        if "weight" in name:
            nn.init.normal_(parameter, std=0.15)
    network.eval()
    scale = int(network.scale)  # type: ignore[arg-type]
    radius = effective_radius(network, scale)
    assert radius is not None
    model = ImageModel(network, manifest(scale, None), tile=24)
    picture = torch.rand(1, 3, 70, 50)
    with torch.inference_mode():
        torch.testing.assert_close(model(picture), network(picture).clamp(0, 1), rtol=0, atol=1e-5)


def test_global_operations_are_found_and_said() -> None:
    class Global(nn.Module):
        def forward(self, tile: Tensor) -> Tensor:
            return tile + 0.1 * tile.mean(dim=(2, 3), keepdim=True)

    said: list[str] = []
    assert effective_radius(Global(), 1) is None
    model = ImageModel(Global(), manifest(1, None), tile=70, say=said.append)
    assert model(torch.rand(1, 3, 100, 150)).shape == (1, 3, 100, 150)
    assert any("global operations" in text for text in said)


def test_windows_that_begin_where_the_tile_does_have_no_radius() -> None:
    """As SwinIR's: aligned tiles would be seamless, others not."""

    class Windows(nn.Module):
        def forward(self, tile: Tensor) -> Tensor:
            height, width = tile.shape[-2:]
            padded = nn.functional.pad(tile, (0, -width % 8, 0, -height % 8), mode="replicate")
            means = nn.functional.avg_pool2d(padded, 8)
            return tile + 0.1 * nn.functional.interpolate(means, scale_factor=8)[..., :height, :width]

    assert effective_radius(Windows(), 1) is None


def test_a_deep_network_is_given_the_context_that_it_uses() -> None:
    """23 blocks of RRDB declare 349 pixels; what far pixels do is nothing."""
    torch.manual_seed(0)
    network = RRDBNet(4, 8, 5, 4).eval()
    assert network.receptive_radius > 64
    model = ImageModel(network, manifest(4, network.receptive_radius), tile=32)
    assert model.geometry().radius is not None
    assert model.geometry().radius <= 32
    picture = torch.rand(1, 3, 80, 90)
    with torch.inference_mode():
        torch.testing.assert_close(model(picture), network(picture).clamp(0, 1), rtol=0, atol=1e-5)


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [(300, 200), (31, 17), (97, 89), (13, 400), (1, 1), (97, 50)])
@pytest.mark.parametrize("rows", [1, 7, 40, 89])
def test_resizing_in_bands_is_resizing_the_whole(target: tuple[int, int], rows: int) -> None:
    picture = torch.rand(2, 3, 89, 97)
    found = torch.cat(list(resampled(picture.split(rows, dim=2), (97, 89), target)), dim=2)
    planes = [
        np.asarray(Image.fromarray(p.numpy()).resize(target, Image.Resampling.LANCZOS)) for p in picture.flatten(0, 1)
    ]
    assert found.shape == (2, 3, target[1], target[0])
    assert np.abs(found.flatten(0, 1).numpy() - np.stack(planes)).max() < 1e-5


def test_another_size_than_the_networks() -> None:
    model = compact()
    rows, columns = np.mgrid[:20, :30] / 9.0
    picture = Picture(np.stack([128 + 90 * np.sin(rows + k) * np.cos(columns) for k in range(3)], -1).astype(np.uint8))
    output = model.apply(picture, size=(45, 33))
    assert output.size == (45, 33)
    own = np.asarray(Image.fromarray(model.apply(picture).pixels).resize((45, 33), Image.Resampling.LANCZOS))
    assert np.abs(output.pixels.astype(int) - own).max() <= 2


# --- pictures of another kind than the input ---------------------------------------------------------------------


class Colored(nn.Module):
    """Grey to colour, the same everywhere: what reaches the network is seen in the output."""

    def forward(self, tile: Tensor) -> Tensor:
        return torch.cat((tile, 1 - tile, tile / 2), 1)


class Translated(ImageModel):
    def source(self, picture: Picture) -> FlatSource:
        return FlatSource(picture, self.manifest.channels)


@pytest.mark.parametrize("deep", [False, True])
def test_a_network_may_give_colour_for_grey_and_opacity_goes_around_it(deep: bool) -> None:
    known = dataclasses.replace(manifest(1, 0), channels=1, out_channels=3)
    model = Translated(Colored(), known, tile=7)
    grey = np.random.default_rng(0).integers(0, 256, (200, 19), dtype=np.uint8)
    opacity = np.random.default_rng(1).integers(0, 256, (200, 19), dtype=np.uint8)
    factor = np.uint16(257) if deep else np.uint8(1)
    found = model(Picture((grey * factor)[..., None], opacity * factor, Metadata(icc=b"a profile of grey", dpi=(9, 9))))
    top = 65535 if deep else 255
    on_white = grey / 255 * (opacity / 255) + 1 - opacity / 255
    expected = np.stack((on_white, 1 - on_white, on_white / 2), -1) * top
    assert np.abs(found.pixels - expected).max() <= 0.51
    assert np.array_equal(found.alpha, opacity * factor)
    assert (found.metadata.icc, found.metadata.dpi) == (None, (9, 9))


def test_float32_on_a_gpu_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default torch rounds what a convolution takes to TF32's 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    Runner(torch.nn.Identity(), torch.device("cuda"))  # without weights it needs no GPU
    assert torch.backends.cudnn.allow_tf32 is False


def test_what_is_no_number_in_any_precision_fails_and_is_not_black() -> None:
    for value in (float("nan"), float("inf")):
        runner = Runner(torch.nn.Conv2d(3, 3, 1), torch.device("cpu"))
        with torch.no_grad():
            runner.network.bias.fill_(value)
        with pytest.raises(AdvtasksError, match="no numbers"):
            runner(torch.rand(1, 3, 8, 8))
