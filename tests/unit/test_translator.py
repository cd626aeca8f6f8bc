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
    with pytest.raises(DataError, match=r"a.tif: 4 channels, and the others have 5"):
        model(tmp_path / "a.tif")


def test_more_channels_than_files_hold_are_refused() -> None:
    with pytest.raises(UsageError, match="7 channels, which no picture file holds"):
        translator(lambda tile: tile, wanted=Pixels(channels=7))


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
