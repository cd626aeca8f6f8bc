"""What is trained on and what is validated on: as folders say, and never the same pictures."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.data import find_sides
from advtasks_pix2pix.data import make_splits as make_translation_splits
from advtasks_pix2pix.holding_out import held_out_pairs
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.data import load_folder, make_splits
from advtasks_sr.layouts import find_sources, recognize
from advtasks_sr.lows import make_low_side
from advtasks_text2image.config import Reading, TextConfig
from advtasks_text2image.data import Loaded
from advtasks_text2image.layout import recognize as recognize_texts
from advtasks_text2image.splits import _divided, find
from conftest import natural
from PIL import Image

from advtasks.data.cache import PictureCache
from advtasks.data.folder import hold_out
from advtasks.data.resize import downscale_rgb8
from advtasks.data.splits import ALL_VALIDATED, own_splits, without_validated
from advtasks.errors import DataError
from advtasks.pictures.color import ColorSpace, in_srgb
from advtasks.pictures.picture import Metadata, Picture
from advtasks.plugins import plugins, resolve

PROFILE = imagecodecs.cms_profile("adobergb")


def photo(path: Path, seed: int, size: tuple[int, int] = (64, 48), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(natural(*size, seed)).save(path, **options)
    return path


def sr(folder: Path, **fields: Any) -> SuperResolutionConfig:
    return SuperResolutionConfig(data=folder, patch=8, **fields)


def trained(splits: Any) -> set[str]:
    """The names of what super-resolution trains on."""
    return {Path(source.high).name for source in splits.train.items.pairs}


# --- the splits of a folder --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("train/a.png", "val/b.png", "c.png"), (["train/a.png", "c.png"], ["val/b.png"], [])),
        (("train2017/a.png", "Test_1/b.png"), (["train2017/a.png"], [], ["Test_1/b.png"])),
        (("train.tar/a.png", "valid.tar/b.png"), (["train.tar/a.png"], ["valid.tar/b.png"], [])),
        (("a/train/a.png", "a/val/b.png"), None),
        (("test/a.png", "b.png"), None),
        (("trains/a.png", "validity/b.png"), None),
    ],
)
def test_the_first_folders_may_say_the_split(names: tuple[str, ...], found: tuple[list[str], ...] | None) -> None:
    folder = Path("data")
    splits = own_splits(folder, [folder / name for name in names])
    if found is None:
        assert splits is None, "a folder called test, alone or somewhere below, may be anything"
        return
    assert splits is not None
    assert tuple([str(path.relative_to(folder)) for path in paths] for paths in splits.values()) == found


def test_what_is_validated_on_is_left_out_of_training_unless_nothing_else_is_left() -> None:
    notes: list[str] = []
    assert without_validated("abc", str, {"b", "x"}, notes) == ["a", "c"]
    assert notes == ["left out of training, since they are validated on: 1"]
    assert without_validated("ab", str, {"a", "b"}, notes) == ["a", "b"]
    assert notes[1:] == [ALL_VALIDATED]
    assert without_validated("ab", str, {"c"}, notes) == ["a", "b"]
    assert len(notes) == 2


# --- super-resolution --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
def test_super_resolution_takes_the_splits_of_folders(tmp_path: Path, cache_gib: float) -> None:
    for seed, name in enumerate(("train/a.png", "train/b.png", "val/c.png", "test/d.png")):
        photo(tmp_path / name, seed)
    splits = make_splits(sr(tmp_path), PictureCache(limit_gib=cache_gib))
    assert trained(splits) == {"a.png", "b.png"}
    assert [Path(pair.name).name for pair in splits.validation] == ["c.png"]
    assert any("ignored  1 other files: d.png" in note for note in splits.notes)
    layout = recognize(tmp_path)
    assert layout is not None
    assert "split as its folders say" in layout.explanation
    assert [path.name for path in layout.ignored] == ["d.png"]


def test_data_check_counts_the_pictures_that_play_no_role(advtasks: Any, tmp_path: Path) -> None:
    for seed, name in enumerate(("train/a.png", "val/b.png", "test/c.png")):
        photo(tmp_path / name, seed)
    (tmp_path / "notes.txt").touch()
    _, out, _ = advtasks("data", "check", tmp_path, "--task", "sr")
    assert "  ignored: 1 pictures (c.png)\n" in out, "what are no pictures are told once, above"


def test_pairs_within_the_splits_are_pairs(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "train", "validation")):
        high = natural(64, 48, seed)
        for part, pixels in (("HR", high), ("LR", downscale_rgb8(high, 4))):
            (tmp_path / split / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / split / part / f"{seed}.png")
    sources = find_sources(tmp_path, 4)
    assert sources.name == "hr + lr pairs"
    assert [(source.high.name, source.low.name) for source in sources.train if source.low] == [("0.png", "0.png"),
                                                                                              ("1.png", "1.png")]  # fmt: skip
    assert [source.low for source in sources.validation] == [tmp_path / "validation/LR/2.png"]


def low(path: Path, seed: int, scale: int = 4) -> Path:
    """The low resolution of :func:`photo`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(downscale_rgb8(natural(64, 48, seed), scale)).save(path)
    return path


@pytest.mark.parametrize(
    ("high", "small"),
    [
        ("set/HR/a.png", "set/LR/a.png"),
        ("train_HR/a.png", "train_LR_x4/ax4.png"),
        ("a/GT/a.png", "b/LRx4/a.png"),
        ("a.png", "a/LR_bicubic/X4/a_x4.png"),
        ("original/a.png", "lr_x2/a.png"),
    ],
)
def test_low_resolutions_that_lie_elsewhere_never_become_targets(tmp_path: Path, high: str, small: str) -> None:
    photo(tmp_path / high, 0)
    low(tmp_path / small, 0, 2 if "x2" in small else 4)
    photo(tmp_path / "more.png", 1)
    for look in (recognize, lambda folder: find_sources(folder, 3)):
        with pytest.raises(DataError, match="is the low resolution of .*a.png.*as hr and lr"):
            look(tmp_path)


def test_low_resolutions_in_archives_are_known(tmp_path: Path) -> None:
    for name, path in (
        ("train_HR", photo(tmp_path / "raw/a.png", 0)),
        ("train_LR", low(tmp_path / "raw/low/a.png", 0)),
    ):
        (tmp_path / "set").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "set" / f"{name}.tar", "w") as archive:
            archive.add(path, "a.png")
    with pytest.raises(DataError, match="is the low resolution of"):
        find_sources(tmp_path / "set", 4)


def test_test_pictures_of_low_resolution_alone_are_no_targets(tmp_path: Path) -> None:
    """As challenges have them: nobody is given the high resolution."""
    for seed, name in enumerate(("train/HR/a.png", "train/HR/b.png")):
        photo(tmp_path / name, seed)
        low(tmp_path / name.replace("HR", "LR"), seed)
    low(tmp_path / "test/LR/c.png", 5)
    sources = find_sources(tmp_path, 4)
    assert [source.high.name for source in sources.train] == ["a.png", "b.png"]
    assert (sources.validation, [path.name for path in sources.ignored]) == ((), ["c.png"])
    (tmp_path / "test/HR").mkdir()
    photo(tmp_path / "val/HR/d.png", 6)
    low(tmp_path / "val/LR/d.png", 6)
    photo(tmp_path / "test/HR/without-partner.png", 7)
    sources = find_sources(tmp_path, 4)
    assert [source.high.name for source in sources.validation] == ["d.png"]
    assert sources.problems == (), "of pictures that play no role"


def test_validation_pairs_that_do_not_fit_are_told(tmp_path: Path) -> None:
    photo(tmp_path / "train/HR/a.png", 0)
    low(tmp_path / "train/LR/a.png", 0)
    photo(tmp_path / "val/HR/b.png", 1)
    photo(tmp_path / "val/LR/b.png", 1, (10, 10))
    photo(tmp_path / "test/Set5/LR/c.png", 2)  # plays no role
    photo(tmp_path / "test/Set5/HR/c.png", 2, (128, 96))
    (problem,) = find_sources(tmp_path, 4).problems
    assert "val/LR/b.png 10x10: not a pair" in problem


@pytest.mark.parametrize("name", ["test/LR_bicubic/X4/c.png", "test/Set5/LR/c.png", "DIV2K_train_LR_bicubic/X4/c.png"])
def test_low_resolutions_that_nobody_pairs_are_ignored(tmp_path: Path, name: str) -> None:
    for seed, one in enumerate(("train/a.png", "val/b.png")):
        photo(tmp_path / one, seed)
    low(tmp_path / name, 5)
    sources = find_sources(tmp_path, 4)
    assert [source.high.name for source in (*sources.train, *sources.validation)] == ["a.png", "b.png"]
    assert [path.name for path in sources.ignored] == ["c.png"]


def test_other_pictures_of_the_same_names_hide_no_low_resolutions(tmp_path: Path) -> None:
    photo(tmp_path / "Flickr/1.png", 3, (90, 60))
    photo(tmp_path / "Sets/HR/1.png", 0)
    low(tmp_path / "Sets/LR/1.png", 0)
    with pytest.raises(DataError, match="Sets/LR/1.png is the low resolution of .*Sets/HR/1.png"):
        find_sources(tmp_path, 4)


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
def test_validation_pictures_that_are_too_small_are_named(tmp_path: Path, cache_gib: float) -> None:
    for seed in range(6):
        photo(tmp_path / f"train/{seed}.png", seed)
    photo(tmp_path / "val/small.png", 9, (30, 30))
    splits = make_splits(sr(tmp_path), PictureCache(limit_gib=cache_gib))
    assert any("none of the pictures to validate on can be used" in note for note in splits.notes)
    assert any("skipped  1 pictures of 32 pixels a side or less, to measure: small.png" in n for n in splits.notes)
    assert len(splits.validation) == 1, "a fifth of the others instead"
    assert len(splits.train) == 5


def test_links_to_training_pictures_are_the_same_pictures(tmp_path: Path) -> None:
    for seed in range(3):
        photo(tmp_path / f"train/{seed}.png", seed)
    (tmp_path / "val").mkdir()
    (tmp_path / "val/link.png").symlink_to("../train/0.png")
    for cache_gib in (1.0, 0.0):
        assert trained(make_splits(sr(tmp_path), PictureCache(limit_gib=cache_gib))) == {"1.png", "2.png"}


def test_ordinary_folders_are_not_taken_for_resolutions(tmp_path: Path) -> None:
    for seed, name in enumerate(
        ("cars/Ford GT Coupe 2006/1.png", "cars/Land Rover LR2/1.png", "x/car-GT/2.png", "y/LR/3.png")
    ):
        photo(tmp_path / name, seed)
    assert len(find_sources(tmp_path, 4).train) == 4


def test_low_resolutions_beside_the_splits_are_ignored(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/a.png", "val/b.png", "train_LR/a.png", "more/c.png")):
        photo(tmp_path / name, seed)
    sources = find_sources(tmp_path, 4)
    assert {source.high.name for source in sources.train} == {"a.png", "c.png"}
    assert [str(path.relative_to(tmp_path)) for path in sources.ignored] == ["train_LR/a.png"]


def test_the_validation_pictures_of_a_folder_are_evaluated(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/a.png", "val/b.png", "test/c.png")):
        photo(tmp_path / name, seed)
    pairs, notes = load_folder(tmp_path, make_low_side(sr(tmp_path)), PictureCache())
    assert [Path(pair.name).name for pair in pairs] == ["b.png"]
    assert any("measured on its 1 pictures for validation" in note for note in notes)
    assert any("ignored  1 other files: c.png" in note for note in notes)


def test_a_div2k_folder_of_validation_pictures_alone(tmp_path: Path) -> None:
    high = natural(64, 48, 0)
    for part, pixels in (
        ("DIV2K_valid_HR/1.png", high),
        ("DIV2K_valid_LR_bicubic/X4/1x4.png", downscale_rgb8(high, 4)),
    ):
        (tmp_path / part).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / part)
    sources = find_sources(tmp_path, 4)
    assert (len(sources.train), sources.validation) == (1, ()), "the low resolution is no target"
    for cache_gib in (1.0, 0.0):
        photo(tmp_path / "DIV2K_valid_HR/2.png", 2, (64, 48))
        Image.fromarray(downscale_rgb8(natural(64, 48, 2), 4)).save(tmp_path / "DIV2K_valid_LR_bicubic/X4/2x4.png")
        splits = make_splits(sr(tmp_path), PictureCache(limit_gib=cache_gib))
        assert (len(splits.train), len(splits.validation)) == (1, 1)


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
def test_validation_pictures_within_the_data_are_not_trained_on(tmp_path: Path, cache_gib: float) -> None:
    for seed, name in enumerate(("a.png", "b.png", "mine/c.png")):
        photo(tmp_path / name, seed)
    splits = make_splits(sr(tmp_path, validation=tmp_path / "mine"), PictureCache(limit_gib=cache_gib))
    assert trained(splits) == {"a.png", "b.png"}
    assert "left out of training, since they are validated on: 1" in splits.notes


def test_validation_pairs_that_do_not_fit_are_told_where_nothing_is_kept(tmp_path: Path) -> None:
    photo(tmp_path / "data/a.png", 0)
    for part, size in (("hr", (64, 48)), ("lr", (10, 10))):
        photo(tmp_path / "given" / part / "b.png", 1, size)
    with pytest.raises(DataError, match="1 pictures do not pair"):
        make_splits(sr(tmp_path / "data", validation=tmp_path / "given"), PictureCache(limit_gib=0))


# --- translation -------------------------------------------------------------------------------------------------


def translation(folder: Path, cache_gib: float = 1.0, **fields: Any) -> Any:
    config = TranslationConfig(data=folder, crop=16, load=0, **fields)
    return make_translation_splits(config, find_sides(config), PictureCache(limit_gib=cache_gib))


def test_translation_trains_on_no_pair_that_it_validates_on(tmp_path: Path) -> None:
    for seed in range(4):
        for side in "AB":
            photo(tmp_path / f"train{side}/{seed}.png", seed + 10 * (side == "B"))
    for side in "AB":
        (tmp_path / f"val{side}").mkdir()
        (tmp_path / f"val{side}/x.png").write_bytes((tmp_path / f"train{side}/0.png").read_bytes())
    splits = translation(tmp_path)
    assert len(splits.train) == 3
    assert len(splits.validation) == 1
    assert "left out of training, since they are validated on: 1" in splits.notes


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
def test_pairs_of_the_validation_folder_within_the_data_are_not_trained_on(tmp_path: Path, cache_gib: float) -> None:
    for seed in range(3):
        for side in "AB":
            photo(tmp_path / f"{side}/{'mine/' * (seed == 2)}{seed}.png", seed + 10 * (side == "B"))
    (tmp_path / "given").mkdir()
    for side in "AB":
        (tmp_path / f"given/{side}").symlink_to(tmp_path / side / "mine")
    data = tmp_path / "data"
    data.mkdir()
    for side in "AB":
        (data / side).symlink_to(tmp_path / side)
    splits = translation(data, cache_gib, validation=tmp_path / "given")
    assert (len(splits.train), len(splits.validation)) == (2, 1)


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
def test_an_empty_mask_that_is_validated_on_takes_no_other_pair_out_of_training(
    tmp_path: Path, cache_gib: float
) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "empty.png")
    rows = ["split,input_image,edited_image"]
    for seed in range(4):
        photo(tmp_path / f"{seed}.png", seed)
        rows.append(f"{'val' if seed == 3 else 'train'},{seed}.png,empty.png")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    splits = translation(tmp_path, cache_gib)
    assert (len(splits.train), len(splits.validation)) == (3, 1)


def test_pairs_that_share_an_empty_mask_are_pairs_of_their_own() -> None:
    lone = [f"{number:02x}" for number in range(20)]
    assert len(held_out_pairs(lone)) == 4
    assert held_out_pairs(lone) == hold_out(lone)
    many = [f"{number:04x}" for number in range(300)]
    assert held_out_pairs([*many, *many[:50]]) == hold_out(many), "copies change nothing"
    empty = [f"00+{number:02x}" for number in range(50)] + [f"{number:02x}+{number:02x}" for number in range(1, 51)]
    held_out = held_out_pairs(empty)
    assert len(held_out) == 20
    assert 0 < sum(content.startswith("00+") for content in held_out) < 50
    drawn = [f"{number // 10:02x}+{number:04x}" for number in range(500)]  # ten drawings of each photograph
    held_out = held_out_pairs(drawn)
    assert len(held_out) == 40, "whole photographs, as many pairs as ever"
    assert len({content[:2] for content in held_out}) == 4
    assert held_out_pairs([]) == set()


def test_one_target_of_several_inputs_is_on_one_side(tmp_path: Path) -> None:
    for number in range(24):
        photo(tmp_path / f"A/{number}.png", number)
        photo(tmp_path / f"B/{number}.png", 100 + number // 3)  # three drawings of each
    splits = translation(tmp_path)
    target = lambda pair: np.asarray(pair.target).tobytes()  # noqa: E731
    items = splits.train.items
    training = {target(items.load(pair)) for pair in items.pairs}
    assert splits.validation
    assert not training & {target(pair) for pair in splits.validation}


def test_a_model_of_grey_pictures_is_measured_on_coloured_ones(tmp_path: Path) -> None:
    for seed in range(3):
        for side in "AB":
            path = photo(tmp_path / f"grey/{side}/{seed}.png", seed)
            Image.open(path).convert("L").save(path)
    for side in "AB":
        photo(tmp_path / f"coloured/{side}/x.png", 7)
    (pair,) = translation(tmp_path / "grey", validation=tmp_path / "coloured").validation
    expected = np.asarray(Image.fromarray(natural(64, 48, 7)).convert("L"))
    assert pair.input.shape == (48, 64, 1)
    assert np.abs(pair.target[..., 0].astype(int) - expected).max() <= 1


# --- text2image --------------------------------------------------------------------------------------------------


def texts(folder: Path, **fields: Any) -> tuple[list[Loaded], list[Loaded], list[str]]:
    config = TextConfig(data=folder, size=16, captions="names", **fields)
    found, notes = find(folder, config)
    train, validation = _divided(found, config, PictureCache(), notes)
    return train, validation, notes


def test_texts_take_the_splits_of_folders(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/a.png", "train/b.png", "val/c.png", "test/d.png")):
        photo(tmp_path / name, seed)
    photo(tmp_path / "val/e.png", 0)  # as train/a.png
    train, validation, notes = texts(tmp_path)
    assert [item.captions for item in train] == [("b",)]
    assert sorted(item.captions for item in validation) == [("c",), ("e",)]
    assert "ignored  1 pictures of the folder's own test split" in notes
    assert any(
        "split as its folders say: train 2, validation 2, test 1" in n
        for n in recognize_texts(tmp_path, Reading(captions="names")).notes
    )
    assert "left out of training, since they are validated on: 1" in notes


def test_texts_to_validate_on_do_not_put_the_other_splits_into_training(tmp_path: Path) -> None:
    for seed, name in enumerate(("data/train/a.png", "data/val/b.png", "data/test/c.png", "given/d.png")):
        photo(tmp_path / name, seed)
    train, validation, _ = texts(tmp_path / "data", validation=tmp_path / "given")
    assert [item.captions for item in train] == [("a",)]
    assert [item.captions for item in validation] == [("d",)]


def test_texts_are_evaluated_on_the_validation_part(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/a.png", "val/b.png", "val/c.png")):
        photo(tmp_path / name, seed)
    config = TextConfig(data=tmp_path, size=16, captions="names", encoder="hash")
    (held,), _ = resolve(plugins().find("tasks", "text2image").spec.task)(config).examples(tmp_path, PictureCache())
    assert {item.captions for item in held.validation} == {("b",), ("c",)}
    assert [item.content for item in held.validation] == sorted(item.content for item in held.validation)


def test_texts_to_validate_on_within_the_data_are_not_trained_on(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.png", "b.png", "mine/c.png")):
        photo(tmp_path / name, seed)
    train, validation, notes = texts(tmp_path, validation=tmp_path / "mine")
    assert sorted(item.captions for item in train) == [("a",), ("b",)]
    assert [item.captions for item in validation] == [("c",)]
    assert "left out of training, since they are validated on: 1" in notes


# --- colour ------------------------------------------------------------------------------------------------------


def as_srgb(pixels: np.ndarray) -> np.ndarray:
    values = ColorSpace(PROFILE, 3).to_srgb((pixels / 255).astype(np.float32)).clip(0, 1)
    return np.rint(values * 255).astype(np.uint8)


def test_a_picture_in_srgb() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 5, 3), dtype=np.uint8)
    converted = in_srgb(Picture(pixels, pixels[..., 0], Metadata(icc=PROFILE)))
    assert np.array_equal(converted.pixels, as_srgb(pixels)), "also beyond the rows that are converted at a time"
    assert np.array_equal(converted.alpha, pixels[..., 0])  # type: ignore[arg-type]
    assert converted.metadata.icc is None
    plain = Picture(pixels)
    assert in_srgb(plain) is plain
    grey = imagecodecs.cms_profile("gray", gamma=1.5, whitepoint=[0.3127, 0.3290, 1.0])
    made = in_srgb(Picture(pixels[..., :1], None, Metadata(icc=grey)))
    assert made.pixels.shape == (600, 5, 1)
    assert not np.array_equal(made.pixels, pixels[..., :1])


def test_training_sees_colours_as_inference_shows_them(tmp_path: Path) -> None:
    """In sRGB; pairs of two resolutions as they are stored, since the small one has mostly lost its profile."""
    stored = natural(64, 48, 3)
    path = photo(tmp_path / "a/x.png", 3, icc_profile=PROFILE)
    assert np.array_equal(PictureCache().rgb8(path)[1], as_srgb(stored))
    assert np.array_equal(PictureCache().rgb8(path, as_stored=True)[1], stored)
    for number, side in enumerate("AB"):
        for seed in range(2):
            photo(tmp_path / f"pairs/{side}/{seed}.png", 3 + seed, icc_profile=PROFILE if number else None)
    pairs = {Path(pair.name).name: pair for pair in translation(tmp_path / "pairs").validation}
    (pair,) = pairs.values()
    original = next(pixels for seed in (3, 4) if np.array_equal(pair.input, pixels := natural(64, 48, seed)))
    assert np.array_equal(pair.target, as_srgb(original))
    (tmp_path / "sr/lr").mkdir(parents=True)
    for seed in (3, 4):
        photo(tmp_path / f"sr/hr/{seed}.png", seed, icc_profile=PROFILE)
        Image.fromarray(downscale_rgb8(natural(64, 48, seed), 4)).save(tmp_path / f"sr/lr/{seed}.png")
    for cache_gib in (1.0, 0.0):
        (example,) = make_splits(sr(tmp_path / "sr"), PictureCache(limit_gib=cache_gib)).validation
        assert np.array_equal(example.high, natural(64, 48, int(Path(example.name).stem)))
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "png", icc_profile=PROFILE)
    (tmp_path / "t").mkdir()
    (tmp_path / "t/red.png").write_bytes(buffer.getvalue())
    photo(tmp_path / "t/blue.png", 5, icc_profile=PROFILE)
    loaded = {item.captions: item.read() for item in (*texts(tmp_path / "t")[0], *texts(tmp_path / "t")[1])}
    assert loaded.keys() == {("red",), ("blue",)}
    assert np.abs(loaded["red",].mean((0, 1)) - as_srgb(stored).mean((0, 1))).max() < 12
