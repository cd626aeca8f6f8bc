"""The engine of translation: label maps in and out, opacity, depth, several outputs, made inputs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from advtasks_pix2pix.makers import MAKERS
from advtasks_pix2pix.pixels import Pixels
from advtasks_pix2pix.translator import Translator
from conftest import natural
from PIL import Image
from torch import Tensor, nn

from advtasks.bundle import Manifest
from advtasks.draws import SeededDraws
from advtasks.errors import DataError, UsageError
from advtasks.inference.batch import Settings, run
from advtasks.inference.jobs import plan
from advtasks.inference.sizes import OutputSize


class Fixed(nn.Module):
    """A function as a network."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, tile: Tensor) -> Tensor:
        output: Tensor = self.function(tile)
        return output


def translator(
    function: Any, given: Pixels | None = None, wanted: Pixels | None = None, made: str = "none", **options: Any
) -> Translator:
    """An engine around a function."""
    given, wanted = given or Pixels(), wanted or Pixels()
    manifest = Manifest(
        task="pix2pix", verb="translate", plugin="advtasks", plugin_version="0", advtasks_version="0",
        generator="none", hyper_parameters={}, channels=given.planes, out_channels=wanted.planes, scale=1,
        receptive_radius=0, multiple_of=1,
        task_options={
            "input_pixels": json.dumps(dataclasses.asdict(given)),
            "target_pixels": json.dumps(dataclasses.asdict(wanted)),
            "make_input": made,
        },
    )  # fmt: skip
    network = function if isinstance(function, nn.Module) else Fixed(function)
    return Translator(network, manifest, **options)


def files(model: Translator, path: Path, out: Path, **settings: Any) -> list[Path]:
    """What a batch writes."""
    summary = run(plan([path], out, "t"), model, Settings(size=OutputSize(1, name="t"), **settings))
    assert not summary.having("failed"), [result.message for result in summary.having("failed")]
    return [result.target for result in summary.having("written") if result.target]


LABELS = Pixels(kind="labels", channels=1, classes=3, colors=((255, 0, 0), (0, 255, 0), (0, 0, 255)))
COLOURS = torch.tensor(LABELS.colors).float() / 255


def test_label_maps_in(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 3, (21, 33), dtype=np.uint8)
    painter = translator(lambda tile: torch.einsum("ncyx,ck->nkyx", tile, COLOURS), given=LABELS)
    wanted = np.array(LABELS.colors, np.uint8)[numbers]
    image = Image.fromarray(numbers, "P")
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    image.save(tmp_path / "map.png")
    (written,) = files(painter, tmp_path / "map.png", tmp_path / "out")
    assert np.array_equal(np.asarray(Image.open(written)), wanted)
    Image.fromarray(numbers + 1).save(tmp_path / "map.png")
    with pytest.raises(DataError, match=r"map.png: holds the class 3, and there are 3"):
        painter(tmp_path / "map.png")
    Image.fromarray(wanted).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match=r"colour.png: a label map is grey or has a palette"):
        painter(tmp_path / "colour.png")
    assert np.array_equal(painter(numbers), wanted[..., :3])
    with pytest.raises(DataError, match="classes 0 to 2, not 3"):
        painter(numbers + 1)
    with pytest.raises(DataError, match="takes label maps"):
        painter(wanted)


@pytest.mark.parametrize("suffix", [None, ".jpg"])
def test_label_maps_out_are_png_with_the_palette(tmp_path: Path, suffix: str | None) -> None:
    numbers = np.random.default_rng(1).integers(0, 3, (150, 33), dtype=np.uint8)
    Image.fromarray(np.array(LABELS.colors, np.uint8)[numbers]).save(tmp_path / "photo.png")
    finder = translator(lambda tile: torch.einsum("ncyx,kc->nkyx", tile, COLOURS), wanted=LABELS)
    (written,) = files(finder, tmp_path / "photo.png", tmp_path / "out", suffix=suffix)
    assert written.suffix == ".png"
    with Image.open(written) as image:
        assert image.mode == "P"
        assert image.getpalette()[:9] == [255, 0, 0, 0, 255, 0, 0, 0, 255]
        assert np.array_equal(np.asarray(image), numbers)
    found = finder(tmp_path / "photo.png")
    assert found.mode == "P"
    assert np.array_equal(np.asarray(found), numbers)


def test_opacity_as_a_channel_in_and_out(tmp_path: Path) -> None:
    rgba = np.dstack((natural(40, 30, 0), natural(40, 30, 1)[..., 0]))
    Image.fromarray(rgba).save(tmp_path / "a.png")
    four = Pixels(channels=4)
    same = translator(lambda tile: tile, given=four, wanted=four)
    (written,) = files(same, tmp_path / "a.png", tmp_path / "out")
    assert np.array_equal(np.asarray(Image.open(written)), rgba)
    made = translator(lambda tile: torch.cat((tile, tile[:, :1]), 1), wanted=four)
    Image.fromarray(rgba[..., :3]).save(tmp_path / "b.png")
    (written,) = files(made, tmp_path / "b.png", tmp_path / "out")
    assert np.array_equal(np.asarray(Image.open(written)), np.dstack((rgba[..., :3], rgba[..., 0])))
    seen: list[Tensor] = []
    hole = translator(lambda tile: (seen.append(tile), tile[:, :3])[1], given=four)
    (written,) = files(hole, tmp_path / "a.png", tmp_path / "out3")
    assert np.asarray(Image.open(written)).shape == (30, 40, 3), "what the opacity said is in the output"
    assert seen[-1].shape[1] == 4
    (written,) = files(hole, tmp_path / "b.png", tmp_path / "out4")
    assert (seen[-1][:, 3] == 1).all()


def test_opacity_goes_around_a_network_of_colours(tmp_path: Path) -> None:
    rgba = np.dstack((natural(40, 300, 0), natural(40, 300, 1)[..., 0]))
    Image.fromarray(rgba).save(tmp_path / "a.png")
    (written,) = files(translator(lambda tile: 1 - tile), tmp_path / "a.png", tmp_path / "out")
    found = np.asarray(Image.open(written)).astype(float)
    assert np.array_equal(found[..., 3], rgba[..., 3])
    on_white = 255 - (255 - rgba[..., :3].astype(float)) * rgba[..., 3:] / 255
    assert np.abs(found[..., :3] - (255 - on_white)).max() <= 1


def test_depth_and_grey_are_kept(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    (written,) = files(translator(lambda tile: tile.mean(1, keepdim=True), wanted=Pixels(channels=1)),
                       tmp_path / "a.png", tmp_path / "out")  # fmt: skip
    assert np.array_equal(np.asarray(Image.open(written)), deep)


def test_floating_point_tiff_and_many_channels_in(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(5, 2, (20, 31, 5)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    low, high = float(values.min()), float(values.max())
    model = translator(lambda tile: tile[:, 2:3], Pixels(channels=5, depth=32, low=low, high=high), Pixels(channels=1))
    (written,) = files(model, tmp_path / "a.tif", tmp_path / "out", suffix=".png")
    found = np.asarray(Image.open(written))
    assert found.dtype == np.uint16
    assert np.abs(found / 65535 - (values[..., 2] - low) / (high - low)).max() < 2 / 65535
    tifffile.imwrite(tmp_path / "a.tif", values[..., :4], photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"a.tif: this model takes 5 channels, and this has 4 of float32"):
        model(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [2, 7])
@pytest.mark.parametrize("depth", [8, 16, 32])
def test_channels_and_values_that_only_tiff_holds(tmp_path: Path, channels: int, depth: Any) -> None:
    picture = natural(40, 150, 2)
    Image.fromarray(picture).save(tmp_path / "a.png")
    wanted = Pixels(channels=channels, depth=depth, low=-10.0, high=30.0)
    model = translator(lambda tile: tile[:, :1].expand(-1, channels, -1, -1) * 0.5, wanted=wanted)
    (written,) = files(model, tmp_path / "a.png", tmp_path / "out")
    assert written.suffix == ".tif"
    found = tifffile.imread(written)
    assert found.shape == (150, 40, channels)
    red = picture[..., :1] / 255 * 0.5
    expected = {8: red * 255, 16: red * 65535, 32: red * 40 - 10}[depth]
    assert found.dtype == {8: np.uint8, 16: np.uint16, 32: np.float32}[depth]
    assert np.abs(found - expected).max() <= (1e-4 if depth == 32 else 0.51)
    assert np.array_equal(model(picture), found)
    with pytest.raises(DataError, match="no Pillow image"):
        model(tmp_path / "a.png")


def test_floating_point_targets_of_one_channel_get_their_range_back(tmp_path: Path) -> None:
    Image.fromarray(natural(40, 30, 2)).save(tmp_path / "a.jpg")
    wanted = Pixels(channels=1, depth=32, low=2.0, high=80.0)
    model = translator(lambda tile: tile.mean(1, keepdim=True) * 0 + 0.25, wanted=wanted)
    (written,) = files(model, tmp_path / "a.jpg", tmp_path / "out")
    found = tifffile.imread(written)
    assert found.shape == (30, 40)
    assert np.allclose(found, 21.5)


def test_other_kinds_of_files_say_what_is_wanted_and_what_is_there(tmp_path: Path) -> None:
    Image.fromarray(natural(8, 8, 0)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "f.tif", np.ones((8, 8), np.float32))
    tifffile.imwrite(tmp_path / "inf.tif", np.full((8, 8), np.inf, np.float32))
    five = translator(lambda tile: tile[:, :3], Pixels(channels=5))
    with pytest.raises(DataError, match=r"a.png: this model takes 5 channels, and this has 3 of 8 bit, not in a TIFF"):
        five(tmp_path / "a.png")
    plain = translator(lambda tile: tile)
    with pytest.raises(DataError, match=r"f.tif: this model takes 3 channels, and this has 1 of float32"):
        plain(tmp_path / "f.tif")
    for wrong in (torch.zeros(5, 8, 8), torch.zeros(1, 1, 8, 8)):
        with pytest.raises(ValueError, match="this model takes 3 channels, and this has"):
            plain(wrong)
    with pytest.raises(DataError, match="this model takes 3 channels, and this has 5"):
        plain(np.zeros((8, 8, 5), np.uint8))
    real = translator(lambda tile: tile, Pixels(channels=1, depth=32), Pixels(channels=1))
    with pytest.raises(DataError, match=r"inf.tif: 64 of 64 values are infinite"):
        real(tmp_path / "inf.tif")
    assert five(np.zeros((8, 8, 5), np.uint8)).shape == (8, 8, 3)


def test_pages_that_are_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (4, 20, 30), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    model = translator(lambda tile: tile[:, 3:], Pixels(channels=4, paged=True), Pixels(channels=1))
    (written,) = files(model, tmp_path / "a.tif", tmp_path / "out", suffix=".png")
    assert np.abs(np.asarray(Image.open(written)) / 257 - values[3]).max() < 0.01


def test_inputs_are_made_as_in_training(tmp_path: Path) -> None:
    picture = natural(40, 30, 2)
    Image.fromarray(picture).save(tmp_path / "a.png")
    for name, channels in (("grey", 1), ("mask", 4)):
        model = translator(lambda tile: tile[:, :1], Pixels(channels=channels), Pixels(channels=1), name,
                           make_input=True)  # fmt: skip
        target = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        wanted = (MAKERS[name](target, SeededDraws(0))[0, 0] * 255).round().byte().numpy()
        (written,) = files(model, tmp_path / "a.png", tmp_path / name)
        assert np.abs(np.asarray(Image.open(written)).astype(int) - wanted).max() <= 1
    with pytest.raises(UsageError, match="trained with inputs of their own"):
        translator(lambda tile: tile, make_input=True)


def test_inputs_are_made_of_animations_arrays_and_tensors(tmp_path: Path) -> None:
    model = translator(lambda tile: tile.expand(-1, 3, -1, -1), Pixels(channels=1), made="grey", make_input=True)
    frames = [Image.fromarray(natural(40, 30, seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    (written,) = files(model, tmp_path / "a.png", tmp_path / "out")
    with Image.open(written) as moving:
        assert moving.n_frames == 3
        for number, frame in enumerate(frames):
            moving.seek(number)
            found = np.asarray(moving.convert("RGB")).astype(int)
            assert np.abs(found - np.asarray(frame.convert("L")).astype(int)[..., None]).max() <= 1
    picture = natural(40, 30, 0)
    luma = np.asarray(frames[0].convert("L")).astype(int)
    assert np.abs(model(picture)[..., 0].astype(int) - luma).max() <= 1
    tensor = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    assert (model(tensor)[0] * 255 - torch.from_numpy(luma)).abs().max() <= 1


def test_animations_of_label_maps_bear_the_colours_of_the_classes(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 12), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    finder = translator(lambda tile: torch.cat((tile[:, :1], tile[:, 2:], 0 * tile[:, :1]), 1), wanted=LABELS)
    (written,) = files(finder, tmp_path / "a.png", tmp_path / "out")
    with Image.open(written) as moving:
        for number, color in enumerate(LABELS.colors[:2]):
            moving.seek(number)
            assert (np.asarray(moving.convert("RGB")) == color).all()


def test_animations_of_measurements_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 12), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    model = translator(lambda tile: tile[:, :2], wanted=Pixels(channels=2))
    found = run(plan([tmp_path / "a.png"], tmp_path / "out", "t"), model, Settings(size=OutputSize(1, name="t")))
    assert "2 channels of uint8 are no colours" in found.having("failed")[0].message


def filmed(model: Translator, folder: Path, depth: int = 8) -> np.ndarray:
    """The only frame of what becomes of a video, left red and right blue."""
    av = pytest.importorskip("av")
    colors = np.zeros((32, 64, 3), np.uint8)
    colors[:, :32], colors[:, 32:] = (200, 40, 40), (40, 40, 200)
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p" if depth == 8 else "yuv420p10le"
        for packet in (*stream.encode(av.VideoFrame.from_ndarray(colors, format="rgb24")), *stream.encode(None)):
            container.mux(packet)
    (written,) = files(model, folder / "a.mp4", folder / "out")
    with av.open(str(written)) as container:
        (frame,) = container.decode(video=0)
    return np.asarray(frame.to_ndarray(format="rgb24").astype(int))


def test_inputs_are_made_of_videos(tmp_path: Path) -> None:
    found = filmed(
        translator(lambda tile: tile.expand(-1, 3, -1, -1), Pixels(channels=1), made="grey", make_input=True), tmp_path
    )
    assert np.ptp(found, axis=2).max() <= 4, "grey"
    assert abs(found[:, :30].mean() - 88) < 5
    assert abs(found[:, 34:].mean() - 58) < 5


@pytest.mark.parametrize("depth", [8, 10])
def test_videos_of_label_maps_bear_the_colours_of_the_classes(tmp_path: Path, depth: int) -> None:
    finder = translator(lambda tile: torch.cat((tile[:, :1], tile[:, 2:], 0 * tile[:, :1]), 1), wanted=LABELS)
    found = filmed(finder, tmp_path, depth)
    assert np.abs(found[:, :30] - LABELS.colors[0]).max() < 10, "red is class 0"
    assert np.abs(found[:, 34:] - LABELS.colors[1]).max() < 10, "blue is class 1"


def test_videos_of_one_channel_are_grey(tmp_path: Path) -> None:
    found = filmed(translator(lambda tile: tile[:, :1], wanted=Pixels(channels=1)), tmp_path)
    assert np.ptp(found, axis=2).max() <= 4
    assert abs(found[:, :30].mean() - 200) < 5
    assert abs(found[:, 34:].mean() - 40) < 5


def test_made_inputs_keep_depth_and_opacity(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    luma = (deep * np.array([0.299, 0.587, 0.114])).sum(2)
    model = translator(lambda tile: tile, Pixels(channels=1), Pixels(channels=1), "grey", make_input=True)
    (written,) = files(model, tmp_path / "a.tif", tmp_path / "out")
    found = tifffile.imread(written)
    assert found.dtype == np.uint16
    assert np.abs(found - luma).max() <= 8, "not rounded to 8 bit on the way"
    rgba = np.dstack((natural(30, 20, 0), natural(30, 20, 1)[..., 0]))
    Image.fromarray(rgba).save(tmp_path / "b.png")
    for name, channels in (("grey", 1), ("mask", 4)):
        model = translator(
            lambda tile: tile[:, :1], Pixels(channels=channels), Pixels(channels=1), name, make_input=True
        )
        (written,) = files(model, tmp_path / "b.png", tmp_path / name)
        assert np.array_equal(np.asarray(Image.open(written))[..., -1], rgba[..., 3]), name


def test_tiles_of_global_networks_are_explained_once() -> None:
    class Normed(nn.Module):
        def forward(self, tile: Tensor) -> Tensor:
            return tile - tile.mean((2, 3), keepdim=True) + 0.5

    said: list[str] = []
    model = translator(Normed(), tile=64, say=said.append)
    model.manifest = dataclasses.replace(model.manifest, receptive_radius=None)
    model(natural(60, 60, 0))
    assert not any("differ in tone" in text for text in said), "one tile"
    for _ in range(2):
        model(natural(200, 70, 0))
    assert [("--tile" in text, "--max-memory" in text) for text in said if "differ in tone" in text] == [(True, True)]


def test_a_seed_gives_one_output_and_another_seed_another(tmp_path: Path) -> None:
    class Noisy(nn.Module):
        noise_channels = 2

        def forward(self, tile: Tensor, noise: Tensor | None = None) -> Tensor:
            return tile if noise is None else tile * 0.5 + 0.1 * noise.sum(1)[:, None, None, None].sigmoid()

    picture = natural(64, 48, 0)
    first, again, other = (translator(Noisy(), seed=seed, tile=16)(picture) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    difference = first.astype(int) - picture // 2
    assert difference.max() - difference.min() <= 1, "all tiles have the same noise"
    assert np.array_equal(translator(Noisy())(picture), picture)


def test_colour_is_made_grey_by_luma_and_said_once() -> None:
    said: list[str] = []
    model = translator(lambda tile: tile, Pixels(channels=1), Pixels(channels=1), made="edges", say=said.append)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert (model(red) == round(200 * 0.299)).all()
    model(red)
    (text,) = [line for line in said if "grey" in line]
    assert "--make-input" in text
    said.clear()
    translator(lambda tile: tile, Pixels(channels=1), Pixels(channels=1), say=said.append)(
        np.full((8, 8, 3), 7, np.uint8)
    )
    assert not said, "grey that is stored as colour is grey"


def test_label_maps_are_pillow_images_with_their_palette() -> None:
    numbers = np.random.default_rng(0).integers(0, 3, (21, 33), dtype=np.uint8)
    image = Image.fromarray(numbers, "P")
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    same = translator(lambda tile: tile, given=LABELS, wanted=LABELS)
    assert np.array_equal(np.asarray(same(image)), numbers)
    assert np.array_equal(np.asarray(same(same(image))), numbers), "what comes out can go in"


def test_measurements_are_arrays_in_their_own_range() -> None:
    measured = Pixels(channels=2, depth=32, low=-10.0, high=30.0)
    model = translator(lambda tile: tile, measured, measured)
    values = np.random.default_rng(0).uniform(-10, 30, (9, 12, 2)).astype(np.float32)
    np.testing.assert_allclose(model(values), values, atol=40 / 65535)
    with pytest.raises(TypeError, match="finite values in 2 channels"):
        model(values[..., :1])


def test_an_error_of_a_frame_names_its_file(tmp_path: Path) -> None:
    from advtasks.inference.results import Result

    told = Result.failure(tmp_path / "v.mp4", DataError("this model takes label maps"))
    assert told.message == f"{tmp_path / 'v.mp4'}: this model takes label maps"
