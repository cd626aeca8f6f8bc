"""What translation reads: label maps, any channels and depth; made inputs; crops of both sides that stay aligned."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from advtasks_pix2pix.class_names import read_names
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.crops import Crops, Loaded, fitted
from advtasks_pix2pix.data import Sides, find_sides, make_splits
from advtasks_pix2pix.makers import MAKERS, made_pixels
from advtasks_pix2pix.pairing import Side
from advtasks_pix2pix.pixels import Pixels, to_network
from advtasks_pix2pix.reading import read_side, survey
from conftest import natural
from PIL import Image
from scipy import ndimage

from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.draws import SeededDraws
from advtasks.errors import DataError, UsageError
from advtasks.task import Splits

RNG = np.random.default_rng(7)


def saved(path: Path, values: Any, palette: list[int] | None = None) -> Side:
    """A picture file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        how: dict[str, Any] = {"planarconfig": "contig"} if values.ndim == 3 else {}
        tifffile.imwrite(path, values, photometric="rgb" if values.shape[2:] == (3,) else "minisblack", **how)
        return Side(path)
    image = Image.fromarray(values, "P") if palette else Image.fromarray(values)
    if palette:
        image.putpalette(palette)
    image.save(path)
    return Side(path)


def photo(size: tuple[int, int] = (40, 32), seed: int = 0) -> np.ndarray:
    return natural(*size, seed)


# --- what a side is ----------------------------------------------------------------------------------------------


def test_label_maps_are_known_by_their_name_and_keep_names_and_colours(tmp_path: Path) -> None:
    sides = [
        saved(tmp_path / f"train_label/{i}.png", np.full((8, 8), i, np.uint8), [1, 2, 3, 40, 50, 60, 7, 8, 9])
        for i in range(3)
    ]
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    found = survey(sides, "auto", tmp_path)
    assert (found.kind, found.classes, found.names) == ("labels", 3, ("sky", "road", "car"))
    assert found.palette()[1] == (40, 50, 60)
    assert Pixels.of(json.loads(json.dumps(dataclasses.asdict(found)))) == found
    for name, text in (("labels.json", '{"1": "b", "0": "a"}'), ("labels.csv", "0,a\n1,b\n")):
        (tmp_path / "classes.txt").unlink(missing_ok=True)
        (tmp_path / name).write_text(text)
        assert survey(sides, "labels", tmp_path).names == ("a", "b")
        (tmp_path / name).unlink()


def test_colours_of_classes_that_have_none_differ() -> None:
    colours = Pixels(kind="labels", channels=1, classes=40, colors=((1, 2, 3),)).palette()
    assert colours[0] == (1, 2, 3)
    assert len(set(colours)) == 40


def test_a_label_outside_of_the_classes_names_file_and_value(tmp_path: Path) -> None:
    side = saved(tmp_path / "map.png", np.array([[0, 1], [2, 11]], np.uint8))
    assert survey([side], "labels", tmp_path).classes == 12
    pixels = survey([side], "labels", tmp_path, classes=4)
    with pytest.raises(DataError, match=r"map.png: holds the class 11, and there are 4 \(0 to 3\)"):
        read_side(side, pixels)
    deep = saved(tmp_path / "deep.png", np.array([[300]], np.uint16))
    with pytest.raises(DataError, match=r"deep.png: holds the class 300; at most 256"):
        survey([deep], "labels", tmp_path)


def test_a_label_map_as_jpeg_is_refused_with_its_stray_values(tmp_path: Path) -> None:
    values = np.zeros((32, 32), np.uint8)
    values[8:20, 11:27] = 7
    side = saved(tmp_path / "map.jpg", values * 20)
    with pytest.raises(DataError, match=r"map.jpg: a label map as JPEG.*Save label maps as PNG") as told:
        survey([side], "labels", tmp_path)
    strays = len(np.unique(np.asarray(Image.open(tmp_path / "map.jpg"))))
    assert strays > 2
    assert f"{strays} different ones" in str(told.value)
    with pytest.raises(DataError, match="a label map is grey or has a palette; this one is in colour"):
        survey([saved(tmp_path / "colour.png", photo())], "labels", tmp_path)


def test_label_maps_become_one_channel_for_each_class() -> None:
    numbers = torch.tensor([[[0, 2], [1, 2]]], dtype=torch.uint8)
    planes = to_network(numbers, Pixels(kind="labels", channels=1, classes=3))
    assert planes.dtype == torch.float32
    assert planes.tolist() == [[[[1, 0], [0, 0]], [[0, 0], [1, 0]], [[0, 1], [0, 1]]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RNG.integers(0, 256, (9, 7), dtype=np.uint8), (1, 8)),
        (RNG.integers(0, 65536, (9, 7), dtype=np.uint16), (1, 16)),
        (RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8), (3, 8)),
        (RNG.integers(0, 256, (9, 7, 5), dtype=np.uint8), (5, 8)),
        (RNG.integers(0, 65536, (9, 7, 2), dtype=np.uint16), (2, 16)),
        (RNG.normal(size=(9, 7)).astype(np.float32), (1, 32)),
        (RNG.normal(size=(9, 7, 6)).astype(np.float32), (6, 32)),
    ],
)
def test_any_channels_and_depth_of_tiff(tmp_path: Path, values: np.ndarray, expected: tuple[int, int]) -> None:
    side = saved(tmp_path / "a.tif", values)
    pixels = survey([side], "auto", tmp_path)
    assert (pixels.channels, pixels.depth) == expected
    read = read_side(side, pixels)
    assert np.array_equal(read, values if values.ndim == 3 else values[..., None])
    planes = to_network(torch.from_numpy(read)[None], pixels)
    assert planes.shape == (1, expected[0], 9, 7)
    if expected[1] == 32:
        assert (planes.min().item(), planes.max().item()) == (0, 1)
        assert pixels.low == values.min()


def test_floating_point_values_that_are_all_the_same_teach_nothing(tmp_path: Path) -> None:
    side = saved(tmp_path / "a.tif", np.ones((8, 8), np.float32))
    with pytest.raises(UsageError, match="nothing to learn"):
        survey([side], "auto", tmp_path)


def test_a_folder_takes_the_richest_of_its_pictures_for_all(tmp_path: Path) -> None:
    grey = saved(tmp_path / "grey.png", photo()[..., 0])
    colour = saved(tmp_path / "colour.png", photo())
    deep = saved(tmp_path / "deep.png", photo()[..., 1].astype(np.uint16) * 257)
    pixels = survey([grey, colour, deep], "auto", tmp_path)
    assert (pixels.channels, pixels.depth) == (3, 16)
    assert np.array_equal(read_side(grey, pixels), np.repeat(photo()[..., :1].astype(np.uint16) * 257, 3, axis=2))
    assert np.array_equal(read_side(deep, Pixels(channels=1)), photo()[..., 1:2])


def test_opacity_is_white_below_or_a_fourth_channel(tmp_path: Path) -> None:
    rgba = np.dstack((photo(), np.zeros((32, 40), np.uint8)))
    rgba[:, 20:, 3] = 255
    side = saved(tmp_path / "a.png", rgba)
    flat = survey([side], "auto", tmp_path)
    assert flat.channels == 3
    assert (read_side(side, flat)[:, :20] == 255).all()
    kept = survey([side], "auto", tmp_path, keep_alpha=True)
    assert kept.channels == 4
    assert np.array_equal(read_side(side, kept)[..., 3], rgba[..., 3])


def test_wrong_channels_of_one_file_are_named(tmp_path: Path) -> None:
    five = Pixels(channels=5)
    with pytest.raises(DataError, match=r"b.tif: 4 channels, and most others have 5"):
        read_side(saved(tmp_path / "b.tif", np.zeros((8, 8, 4), np.uint8)), five)
    (tmp_path / "c.tif").write_bytes(b"II*\0 broken")
    with pytest.raises(DataError, match=r"c.tif: cannot be decoded"):
        read_side(Side(tmp_path / "c.tif"), five)


def test_halves_of_a_picture(tmp_path: Path) -> None:
    values = photo((40, 20))
    saved(tmp_path / "a.png", values)
    left, right = (read_side(Side(tmp_path / "a.png", half), Pixels()) for half in ("left", "right"))
    assert np.array_equal(np.hstack((left, right)), values)


def test_label_maps_that_were_jpeg_or_resized_once_are_known_by_stray_values(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:96, :128]
    disc = (rows - 50) ** 2 + (columns - 60) ** 2 < 900
    values = np.where(disc, 140, np.where(columns > 100, 60, 0)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "once.jpg", quality=75)
    once = np.asarray(Image.open(tmp_path / "once.jpg"))
    small = np.asarray(Image.fromarray(values).resize((50, 40), Image.Resampling.BILINEAR))
    for name, damaged in (("was-jpeg.png", once), ("resized.png", small), ("photo.png", photo((64, 64))[..., 0])):
        side = saved(tmp_path / name, damaged)
        with pytest.raises(
            DataError, match=rf"{name}: \d+ stray values \(.*PNG from their source.*--input-kind picture"
        ):
            survey([side], "labels", tmp_path)
    Image.fromarray(values).convert("RGB").save(tmp_path / "exact.webp", lossless=True)
    assert np.array_equal(read_side(Side(tmp_path / "exact.webp"), survey_of(tmp_path / "exact.webp")), values)
    Image.fromarray(once).convert("RGB").save(tmp_path / "lossy.webp")
    with pytest.raises(DataError, match=r"lossy.webp: (\d+ stray values|a label map is grey)"):
        survey([Side(tmp_path / "lossy.webp")], "labels", tmp_path)
    many = saved(tmp_path / "many.png", (rows // 8 * 16 + columns // 8).astype(np.uint8))
    assert survey([many], "labels", tmp_path).classes == 192, "small areas are no strays"
    thin = np.zeros((30, 30), np.uint8)
    thin[np.arange(0, 30, 3)] = np.arange(1, 11)[:, None]
    thin[12:14, 12:14] = 11
    assert survey([saved(tmp_path / "thin.png", thin)], "labels", tmp_path).classes == 12, "and neither are lines"


def survey_of(path: Path) -> Pixels:
    return survey([Side(path)], "labels", path.parent, classes=256)


def test_a_label_map_may_be_half_of_a_picture(tmp_path: Path) -> None:
    numbers = np.repeat(np.array([[0, 1, 2, 2]], np.uint8), 32, 0).repeat(10, 1)
    both = np.hstack((np.repeat(numbers[..., None], 3, axis=2), photo()))
    left, right = (Side(saved(tmp_path / "a.png", both).path, half) for half in ("left", "right"))
    pixels = survey([left], "labels", tmp_path)
    assert pixels.classes == 3
    assert np.array_equal(read_side(left, pixels), numbers)
    with pytest.raises(DataError, match=r"a.png: a label map is grey or has a palette; this one is in colour"):
        survey([right], "labels", tmp_path)


def test_numbers_of_label_maps_with_gaps(tmp_path: Path) -> None:
    few = saved(tmp_path / "few.png", np.array([[0, 1], [4, 4]], np.uint8).repeat(8, 0))
    pixels = survey([few], "labels", tmp_path)
    assert (pixels.classes, pixels.unused) == (5, (2, 3))
    assert "5 classes, 2 of them without a pixel: 2, 3" in pixels.described
    void = saved(tmp_path / "void.png", np.array([[0, 1], [2, 255]], np.uint8).repeat(8, 0))
    with pytest.raises(UsageError, match=r"numbers 0, 1, 2, 255, so 252 of 256 .*--ignore-label 255.*--classes 256"):
        survey([void], "labels", tmp_path)
    assert survey([void], "labels", tmp_path, classes=256).classes == 256
    pixels = survey([void], "labels", tmp_path, ignored=255)
    assert (pixels.classes, pixels.unused, pixels.ignored) == (3, (), 255)
    assert Pixels.of(json.loads(json.dumps(dataclasses.asdict(pixels)))) == pixels
    values = read_side(void, pixels)
    planes = to_network(torch.from_numpy(values)[None], pixels)
    assert planes.shape[1] == 3
    assert torch.equal(planes.sum(1)[0] == 0, torch.from_numpy(values == 255)), "of no class: 0 everywhere"
    inner = survey([void], "labels", tmp_path, ignored=0, classes=4)
    with pytest.raises(DataError, match="holds the class 255, and there are 4"):
        read_side(void, inner)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "name,id\nb,1\na,0\nd,3\n"),
        ("labels.csv", "id;,name\n3,d\n0,a\n1,b\n"),
        ("labels.json", '{"3": "d", "0": "a", "1": "b"}'),
        ("classes.txt", "\ufeffa\nb\n2\nd\n"),
        ("labels.csv", "name\na\nb\n2x\nd\n"),
    ],
)
def test_names_go_by_their_numbers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_names(tmp_path) == ("a", "b", "2x" if "2x" in text else "2", "d")


@pytest.mark.parametrize(
    ("name", "content"),
    [("labels.json", b"{"), ("labels.json", b'{"sky": 0}'), ("labels.json", b"3"), ("classes.txt", b"\xff\xfe\x41")],
)
def test_names_that_cannot_be_read_name_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_names(tmp_path)


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_values_that_are_not_finite_stop_before_training(tmp_path: Path, wrong: float) -> None:
    values = RNG.normal(size=(9, 7)).astype(np.float32)
    values[3, 4] = wrong
    side = saved(tmp_path / "a.tif", values)
    with pytest.raises(DataError, match=r"a.tif: 1 of 63 values are infinite or not a number"):
        survey([saved(tmp_path / "b.tif", np.nan_to_num(values)), side], "auto", tmp_path)
    with pytest.raises(DataError, match=r"a.tif: 1 of 63"):
        read_side(side, Pixels(channels=1, depth=32))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.float64])
def test_measured_values_have_a_range_of_their_own(tmp_path: Path, dtype: Any) -> None:
    values = np.arange(63).reshape(9, 7).astype(dtype) - dtype(0 if dtype is np.uint32 else 30)
    side = saved(tmp_path / "a.tif", values)
    pixels = survey([side], "auto", tmp_path)
    assert (pixels.depth, pixels.low, pixels.high) == (32, float(values.min()), float(values.max()))
    assert np.array_equal(read_side(side, pixels)[..., 0], values.astype(np.float32))


def test_pages_of_one_size_are_channels(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (3, 9, 7), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    pixels = survey([Side(tmp_path / "a.tif")], "auto", tmp_path)
    assert (pixels.channels, pixels.depth, pixels.paged) == (3, 8, True)
    assert np.array_equal(read_side(Side(tmp_path / "a.tif"), pixels), np.moveaxis(values, 0, -1))
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for size in ((9, 7), (8, 7)):
            file.write(np.zeros(size, np.uint8), photometric="minisblack")
    with pytest.raises(DataError, match=r"b.tif: 2 pages that are no channels of one picture"):
        read_side(Side(tmp_path / "b.tif"), pixels)


def test_a_truncated_tiff_is_passed_over(tmp_path: Path, splits: Any) -> None:
    for i in range(5):
        saved(tmp_path / f"data/trainA/{i}.tif", RNG.normal(size=(32, 40)).astype(np.float32))
        saved(tmp_path / f"data/trainB/{i}.png", photo(seed=i))
    whole = (tmp_path / "data/trainA/2.tif").read_bytes()
    (tmp_path / "data/trainA/2.tif").write_bytes(whole[: len(whole) // 2])
    found, sides = splits(tmp_path / "data")
    assert sides.input.depth == 32
    assert any(note.startswith("skipped") and "trainA/2.tif" in note for note in found.notes)
    assert len(found.train) + len(found.validation) == 4


# --- crops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 30), (30, 41), (16, 90)])
@pytest.mark.parametrize("side", [8, 16, 45])
def test_fitting_keeps_proportions_and_labels(size: tuple[int, int], side: int) -> None:
    values = natural(*size, 3)
    found = fitted(values, side, labels=False)
    assert min(found.shape[:2]) == side
    assert found.shape[1] / found.shape[0] == pytest.approx(size[0] / size[1], rel=0.5 / side + 0.01)
    assert found.shape[2] == 3
    assert fitted(values[..., :1], side, labels=False).shape[2] == 1
    labels = RNG.choice(np.array([0, 7, 200], np.uint8), (size[1], size[0]))
    assert set(np.unique(fitted(labels, side, labels=True))) <= {0, 7, 200}
    assert fitted(labels, side, labels=True).shape == found.shape[:2]
    assert fitted(values, 8, labels=False, only_enlarge=True) is values


def test_crops_of_both_sides_show_the_same_place() -> None:
    rows, columns = np.mgrid[:50, :70].astype(np.uint8)
    places = np.dstack((rows, columns, rows))
    labels = (rows // 4 * 16 + columns // 5).astype(np.uint8)
    crops = Crops([0], lambda _: Loaded("a", "a", labels, places), 24, flip=True)
    mirrored = seen = 0
    for seed in range(60):
        item = crops[Position(0, seed)]
        target, given = item["target"].numpy(), item["input"].numpy()
        assert target.shape == (24, 24, 3)
        assert np.array_equal(given, target[..., 0] // 4 * 16 + target[..., 1] // 5)
        assert torch.equal(crops[Position(0, seed)]["target"], item["target"]), "drawn by the position alone"
        mirrored += bool(target[0, 0, 1] > target[0, 1, 1])
        seen |= 1 << int(target[0, 0, 0])
    assert 18 < mirrored < 42
    assert seen.bit_count() > 10


# --- makers ------------------------------------------------------------------------------------------------------


def pictures(count: int = 3) -> torch.Tensor:
    return torch.stack([torch.from_numpy(photo((48, 40), i)).permute(2, 0, 1).float() / 255 for i in range(count)])


@pytest.mark.parametrize("name", MAKERS)
def test_makers_give_what_they_say_at_the_size_of_the_picture(name: str) -> None:
    given = pictures()
    made = MAKERS[name](given, SeededDraws(3))
    assert made.shape == (3, made_pixels(name).channels, 40, 48)
    assert 0 <= made.min() <= made.max() <= 1
    assert torch.equal(made, MAKERS[name](given, SeededDraws(3)))
    assert not torch.equal(made[:, :1], given[:, :1])


def test_makers_by_hand() -> None:
    given = pictures()
    luma = (given * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    torch.testing.assert_close(MAKERS["grey"](given, SeededDraws(0)), luma, atol=1e-5, rtol=0)
    smooth = ndimage.gaussian_filter(luma[0, 0].double().numpy(), 3, mode="nearest", truncate=3)
    sketch = MAKERS["sketch"](given, SeededDraws(0))[0, 0].numpy()
    assert np.abs(sketch - np.clip(luma[0, 0].numpy() / np.maximum(smooth, 1e-3), 0, 1))[10:-10, 10:-10].max() < 1e-4
    step = torch.zeros(1, 3, 20, 20)
    step[..., 10:] = 1
    edges = MAKERS["edges"](step, SeededDraws(0))[0, 0]
    assert (edges[:, 9:11] == 0).all(), "dark where the edge is"
    assert (edges[:, :6] > 0.99).all()
    holes = MAKERS["mask"](given, SeededDraws(0))
    colour, opacity = holes[:, :3], holes[:, 3:]
    assert set(opacity.unique().tolist()) == {0, 1}
    assert torch.equal(colour * opacity, given * opacity)
    assert (colour.masked_select(opacity.expand_as(colour) == 0) == 1).all()
    assert not torch.equal(opacity[0], opacity[1])
    low = MAKERS["lowres"](given, SeededDraws(0))
    assert low.diff().abs().mean() < given.diff().abs().mean()


# --- splits ------------------------------------------------------------------------------------------------------


@pytest.fixture
def splits(tmp_path: Path) -> Callable[..., tuple[Splits, Sides]]:
    """The splits of a folder of pairs, by some options."""

    def found(folder: Path, **options: Any) -> tuple[Splits, Sides]:
        config = TranslationConfig(data=folder, **{"load": 0, "crop": 16, **options})
        sides = find_sides(config)
        return make_splits(config, sides, PictureCache(tmp_path / "cache")), sides

    return found


def pairs(folder: Path, count: int = 5, side: str = "train") -> Path:
    for i in range(count):
        saved(folder / f"{side}A/{i}.png", photo(seed=i)[..., 0])
        saved(folder / f"{side}B/{i}.png", photo(seed=i))
    return folder


def test_one_broken_file_is_passed_over_and_named(tmp_path: Path, splits: Any) -> None:
    pairs(tmp_path / "data")
    (tmp_path / "data/trainA/2.png").write_bytes(b"broken")
    found, sides = splits(tmp_path / "data")
    assert (sides.input.channels, sides.target.channels) == (1, 3)
    assert any("trainA/2.png" in note and note.startswith("skipped") for note in found.notes)
    assert len(found.train) + len(found.validation) == 4


def test_files_that_do_not_pair_stop_before_training(tmp_path: Path, splits: Any) -> None:
    pairs(tmp_path / "data")
    for i in range(12):
        saved(tmp_path / f"data/trainA/lost-{i}.png", photo())
    with pytest.raises(DataError, match=r"12 files do not pair:(.|\n)*and 4 more; `advtasks data check DIR` lists all"):
        splits(tmp_path / "data")


def test_an_empty_validation_split_is_said_and_made_up_for(tmp_path: Path, splits: Any) -> None:
    pairs(tmp_path / "data", 30)
    pairs(tmp_path / "data", 1, "val")
    (tmp_path / "data/valB/0.png").write_bytes(b"broken")
    found, _ = splits(tmp_path / "data")
    assert any("none of the pairs to validate on can be used" in note for note in found.notes)
    assert found.validation
    assert len(found.train) + len(found.validation) == 30


def test_everything_broken_is_an_error_with_reasons(tmp_path: Path, splits: Any) -> None:
    pairs(tmp_path / "data", 2)
    for path in (tmp_path / "data/trainA").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"nothing is left to train on(.|\n)*1.png"):
        splits(tmp_path / "data")


def test_small_pictures_are_enlarged_to_the_crop(tmp_path: Path, splits: Any) -> None:
    pairs(tmp_path / "data", 20)
    found, _ = splits(tmp_path / "data", crop=64)
    assert found.train[Position(0, 1)]["input"].shape == (64, 64, 1)
    found, _ = splits(tmp_path / "data", load=70, crop=64)
    assert min(found.validation[0].target.shape[:2]) == 64


def test_tiny_pictures_are_mirrored_to_be_measured(tmp_path: Path, splits: Any) -> None:
    for i in range(5):
        for side in "AB":
            saved(tmp_path / f"data/train{side}/{i}.png", photo((8, 20), seed=i))
    found, _ = splits(tmp_path / "data")
    pair = found.validation[0]
    assert pair.target.shape == pair.input.shape == (20, 12, 3)
    assert np.array_equal(pair.target[:, 8:], pair.target[:, 6:2:-1])
    assert any(note.startswith("padded   1 smaller than 12 pixels") for note in found.notes)


def test_made_inputs_need_targets_alone(tmp_path: Path, splits: Any) -> None:
    for i in range(20):
        saved(tmp_path / f"data/{i}.png", photo(seed=i)[..., i % 2])
    found, sides = splits(tmp_path / "data", make_input="grey")
    assert (sides.input.channels, sides.target.channels) == (1, 3)
    assert set(found.train[Position(0, 1)]) == {"target"}


def test_the_configuration_is_checked() -> None:
    for options, message in (
        ({"crop": 4}, "crop must be at least 8"),
        ({"load": 100, "crop": 128}, r"load \(100\) must be at least crop \(128\)"),
        ({"scales": 5}, "scales must be 1 to 4"),
        ({"noise": -1}, "noise must be at least 0"),
        ({"make_input": "grey", "input_kind": "labels"}, "leave one of them out"),
        ({"make_input": "grey", "layout": "ab"}, "layout ab says that each file holds both sides"),
        ({"layout": "pictures"}, "give --make-input edges"),
        ({"layout": "pictures", "input_kind": "labels"}, "give --make-input edges"),
        ({"classes": 257}, "classes are 0 to 256"),
        ({"ignore_label": 256}, "ignore_label is a number in a label map, 0 to 255"),
    ):
        with pytest.raises(UsageError, match=message):
            TranslationConfig(**options)
    with pytest.raises(UsageError, match="--data is missing"):
        find_sides(TranslationConfig())


# --- measurements beside pictures --------------------------------------------------------------------------------


def test_four_channels_are_colours_or_four_measurements(tmp_path: Path) -> None:
    values = RNG.integers(0, 255, (16, 20, 4), dtype=np.uint8)
    for name, how, expected in (
        ("bands.tif", {"photometric": "minisblack", "planarconfig": "contig"}, (4, True)),
        ("extra.tif", {"photometric": "rgb", "extrasamples": ["unspecified"]}, (4, True)),
        ("opacity.tif", {"photometric": "rgb", "extrasamples": ["unassalpha"]}, (3, False)),
    ):
        tifffile.imwrite(tmp_path / name, values, **how)
        side = Side(tmp_path / name)
        found = survey([side], "auto", tmp_path)
        assert (found.channels, found.measured) == expected, name
        if found.measured:
            assert np.array_equal(read_side(side, found), values), "no channel is lost"


def test_most_files_decide_what_a_side_is(tmp_path: Path) -> None:
    many = [saved(tmp_path / f"{i}.tif", RNG.normal(size=(16, 20)).astype(np.float32)) for i in range(3)]
    few = [saved(tmp_path / "other.tif", RNG.normal(size=(16, 20, 5)).astype(np.float32))]
    found = survey(few + many, "auto", tmp_path)
    assert (found.channels, found.depth) == (1, 32)
    with pytest.raises(DataError, match=r"other.tif: 5 channels, and most others have 1"):
        read_side(few[0], found)


def test_makers_take_grey_measurements_as_colours(tmp_path: Path, splits: Any) -> None:
    for number in range(4):
        saved(tmp_path / f"{number}.tif", RNG.normal(size=(40, 40)).astype(np.float32))
    found, sides = splits(tmp_path, make_input="blur", crop=16, load=0)
    assert (sides.target.channels, sides.target.depth) == (3, 32)
    assert found.train[Position(0, 0)]["target"].shape == (16, 16, 3)
    deep = tmp_path / "deep"
    for number in range(4):
        saved(deep / f"{number}.png", RNG.integers(0, 65535, (40, 40), dtype=np.uint16))
    assert splits(deep, make_input="grey", crop=16, load=0)[1].target.depth == 16
    bands = tmp_path / "bands"
    saved(bands / "1.tif", RNG.integers(0, 255, (40, 40, 5), dtype=np.uint8))
    with pytest.raises(UsageError, match=r"--make-input makes inputs of grey or RGB pictures, and these have 5"):
        splits(bands, make_input="grey")


def test_makers_take_pictures_of_a_pixel() -> None:
    for name, maker in MAKERS.items():
        for size in ((1, 1), (1, 7), (2, 2)):
            assert maker(torch.rand(1, 3, *size), SeededDraws(0)).shape[-2:] == size, name


# --- label maps --------------------------------------------------------------------------------------------------


def test_label_maps_are_turned_as_pictures_are(tmp_path: Path) -> None:
    numbers = np.zeros((8, 12), np.uint8)
    numbers[:2, :3] = 1
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(numbers).save(tmp_path / "map.png", exif=exif)
    pixels = Pixels(kind="labels", channels=1, classes=2)
    assert np.array_equal(read_side(Side(tmp_path / "map.png"), pixels), np.rot90(numbers, -1))
    Image.merge("LA", [Image.fromarray(numbers), Image.new("L", (12, 8), 255)]).save(tmp_path / "opaque.png")
    assert np.array_equal(read_side(Side(tmp_path / "opaque.png"), pixels), numbers)


def test_a_broken_first_file_does_not_lose_the_colours(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"broken")
    good = saved(tmp_path / "1.png", np.array([[0, 1]], np.uint8), [1, 2, 3, 4, 5, 6])
    assert survey([Side(tmp_path / "0.png"), good], "labels", tmp_path).colors == ((1, 2, 3), (4, 5, 6))


def test_a_target_of_no_class_is_not_held_out(tmp_path: Path, splits: Any) -> None:
    for void in range(4):  # whichever would have been chosen
        folder = tmp_path / str(void)
        for number in range(4):
            numbers = (
                RNG.integers(0, 3, (32, 32), dtype=np.uint8) if number != void else np.full((32, 32), 255, np.uint8)
            )
            saved(folder / f"label/{number}.png", numbers)
            saved(folder / f"photo/{number}.png", photo((32, 32), number))
        found, _ = splits(folder, ignore_label=255, direction="BtoA", crop=16, load=0)
        assert [pair.name for pair in found.validation] != [str(void)]
        assert len(found.validation) == 1


# --- what a run says ---------------------------------------------------------------------------------------------


def test_why_a_picture_is_no_pair_is_said(tmp_path: Path, splits: Any) -> None:
    for number, width in enumerate((64, 63, 64, 64, 64)):
        saved(tmp_path / f"{number}.png", photo((width, 32), number))
    found, _ = splits(tmp_path, crop=16, load=0)
    assert any("not used, since it is not twice as wide as high: 1.png" in note for note in found.notes)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_label_maps_of_few_bits_hold_their_numbers(tmp_path: Path, bits: int) -> None:
    numbers = np.kron(np.arange(16).reshape(4, 4) % 2**bits, np.ones((4, 4))).astype(np.uint8)
    path = tmp_path / "labels.png"
    lines = np.unpackbits(numbers[..., None], axis=2)[..., -bits:].reshape(16, -1)
    rows = b"".join(b"\0" + np.packbits(line).tobytes() for line in lines)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 16, 16, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert np.array_equal(read_side(Side(path), Pixels(kind="labels", channels=1, classes=2**bits)), numbers)
