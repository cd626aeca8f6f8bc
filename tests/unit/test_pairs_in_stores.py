"""Pairs in tar archives and Hugging Face data sets: what folders of files give, cached or decoded when needed."""

from __future__ import annotations

import dataclasses
import pickle
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from advtasks_pix2pix.data import find_sides, make_splits
from advtasks_pix2pix.label_maps import LabelError
from advtasks_pix2pix.layouts import find_pairs
from advtasks_pix2pix.pairing import Pairs
from advtasks_pix2pix.presets import QUICK
from conftest import natural
from PIL import Image
from test_pairs import NAMES, made, told

from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.data.splits import ALL_VALIDATED
from advtasks.errors import DataError
from advtasks.task import Splits
from advtasks.training.progress import Console

Run = Callable[..., tuple[int, str, str]]


def packed(folder: Path, archive: Path) -> Path:
    """An archive of all files below a folder; gives the folder that it lies in."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.add(path, path.relative_to(folder).as_posix())
    return archive.parent


@pytest.mark.parametrize(("files", "name", "expected"), NAMES)
def test_pairs_by_names_within_an_archive(tmp_path: Path, files: list[str], name: str, expected: dict) -> None:
    folder = packed(made(tmp_path / "files", *files), tmp_path / "shards" / "photos-000.tar")
    pairs = find_pairs(folder)
    assert pairs.name.startswith(name)
    assert told(pairs, folder / "photos-000.tar") == expected
    assert not pairs.problems


def names(pairs: Pairs) -> list[tuple[str, str]]:
    return [(pair.input.path.name, pair.target.path.name) for pair in pairs.every() if pair.input]


def test_shards_of_samples_and_an_archive_for_each_side(tmp_path: Path) -> None:
    for number in range(2):
        files = [f"{number}{sample}.{side}.png" for sample in range(2) for side in ("input", "target")]
        packed(made(tmp_path / f"files-{number}", *files), tmp_path / "shards" / f"train-{number:03}.tar")
    pairs = find_pairs(tmp_path / "shards")
    assert names(pairs) == [(f"{key}.input.png", f"{key}.target.png") for key in ("00", "01", "10", "11")]
    for side in "AB":
        packed(made(tmp_path / side, "1.png", "2.png"), tmp_path / "sides" / f"{side}.tar")
    pairs = find_pairs(tmp_path / "sides", direction="BtoA")
    assert [(p.input.path.parent.name, p.input.path.name) for p in pairs.train if p.input] == [
        ("B.tar", "1.png"),
        ("B.tar", "2.png"),
    ]
    doubles = packed(made(tmp_path / "wide", "x.png", "y.png", size=(32, 16)), tmp_path / "doubles" / "all.tar")
    assert find_pairs(doubles).name == "side by side"


def test_a_table_within_an_archive_names_its_files(tmp_path: Path) -> None:
    made(tmp_path / "files", "a/1.png", "b/9.png", "a/2.png", "b/8.png")
    table = "edges,photo,split\na/1.png,b/9.png,train\na/2.png,b/8.png,val\n"
    (tmp_path / "files" / "metadata.csv").write_text(table)
    pairs = find_pairs(packed(tmp_path / "files", tmp_path / "shards" / "all.tar"))
    assert pairs.name == "table"
    assert names(pairs) == [("1.png", "9.png"), ("2.png", "8.png")]
    (tmp_path / "files" / "metadata.csv").write_text(f"{table}a/1.png,b/gone.png,train\n")
    (problem,) = find_pairs(packed(tmp_path / "files", tmp_path / "shards" / "all.tar")).problems
    assert problem.endswith("all.tar/b/gone.png does not exist")


@pytest.mark.parametrize("columns", [("input_image", "image"), ("conditioning_image", "image"), ("edges", "photo")])
def test_columns_of_a_data_set_are_sides(tmp_path: Path, columns: tuple[str, str]) -> None:
    datasets = pytest.importorskip("datasets")
    paths = sorted(made(tmp_path / "files", *(f"{n}.png" for n in range(6))).rglob("*.png"))
    parts = {}
    for split, chosen in (("train", paths[:4]), ("test", paths[4:])):
        rows = {columns[0]: list(map(str, chosen)), columns[1]: list(map(str, chosen[::-1]))}
        kinds = datasets.Features(dict.fromkeys(rows, datasets.Image()))
        parts[split] = datasets.Dataset.from_dict(rows, features=kinds)
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "set"))
    pairs = find_pairs(tmp_path / "set")
    assert (len(pairs.train), len(pairs.test)) == (4, 2)
    for pair, original, partner in zip(pairs.train, paths[:4], paths[3::-1], strict=True):
        assert pair.input is not None
        assert pair.input.path.parent.name == columns[0]
        for found, expected in ((pair.input.path, original), (pair.target.path, partner)):
            with found.open("rb") as file:
                assert np.array_equal(np.asarray(Image.open(file)), np.asarray(Image.open(expected)))


def files_of(folder: Path) -> Path:
    """Eight pairs of label maps and 16-bit pictures, as folders say it."""
    for number in range(8):
        rng = np.random.default_rng(number)
        for side in ("label", "img"):
            (folder / f"train_{side}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 3, (40, 48), dtype=np.uint8)).save(folder / f"train_label/{number}.png")
        values = rng.integers(0, 65536, (40, 48, 3), dtype=np.uint16)
        tifffile.imwrite(folder / f"train_img/{number}.tif", values, photometric="rgb")
    return folder


def splits(data: Path, cache: Path, **options: object) -> Splits:
    config = dataclasses.replace(QUICK, data=data, crop=16, load=0, **options)  # type: ignore[arg-type]
    sides = find_sides(config)
    assert (sides.input.classes, sides.target.depth) == (3, 16)
    return make_splits(config, sides, PictureCache(cache, config.cache_gib))


def test_crops_of_shards_are_those_of_files_decoded_once_or_each_time(tmp_path: Path) -> None:
    """The same pictures are held out of shards as of files, and a position gives the same crop of all four."""
    files = files_of(tmp_path / "files")
    shards = packed(files, tmp_path / "shards" / "all.tar")
    kept = [splits(data, tmp_path / "cache") for data in (files, shards)]
    assert [pair.content for pair in kept[0].validation] == [pair.content for pair in kept[1].validation]
    assert kept[0].fingerprint == kept[1].fingerprint
    before = sorted(path.name for path in (tmp_path / "cache").rglob("*.npy"))
    assert before
    (tmp_path / "held").mkdir()
    held = packed(files, tmp_path / "held" / "some.tar")
    every = [
        splits(data, tmp_path / "cache", validation=held, cache_gib=gib)
        for data in (files, shards)
        for gib in (50.0, 0.0)
    ]
    for sample in range(16):
        batches = [one.train[Position(sample % 8, sample, 3)] for one in every]
        for batch in batches[1:]:
            assert all(torch.equal(batch[name], values) for name, values in batches[0].items())
    assert "decoded each time" in " ".join(every[1].notes)
    splits(shards, tmp_path / "cache", cache_gib=0.0)
    assert set(before) <= {path.name for path in (tmp_path / "cache").rglob("*.npy")}, "of other runs"


def test_a_broken_pair_is_passed_over_and_a_wrong_label_map_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, held = files_of(tmp_path / "files"), files_of(tmp_path / "held")
    whole = (files / "train_img/3.tif").read_bytes()
    (files / "train_img/3.tif").write_bytes(whole[: len(whole) // 2])
    found = splits(packed(files, tmp_path / "one" / "all.tar"), tmp_path / "cache", validation=held, cache_gib=0.0)
    drawn = [found.train[Position(sample % 8, sample, 3)] for sample in range(16)]
    assert len(drawn) == 16
    assert "3.tif: cannot be decoded" in caplog.text
    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(files / "train_label/5.png")
    data = packed(files, tmp_path / "two" / "all.tar")
    found = splits(data, tmp_path / "cache", validation=held, cache_gib=0.0, classes=3)
    with pytest.raises(LabelError, match=r"5.png: holds the class 7, and there are 3 \(0 to 2\)"):
        found.train[Position(5, 0, 3)]
    for path in files.rglob("*.tif"):
        path.write_bytes(b"broken")
    broken = packed(files, tmp_path / "shards" / "all.tar")
    with pytest.raises(DataError, match="nothing is left to validate on"):
        make_splits(
            dataclasses.replace(QUICK, data=broken, crop=16, load=0, cache_gib=0.0),
            find_sides(dataclasses.replace(QUICK, data=files_of(tmp_path / "more"), crop=16, load=0)),
            PictureCache(tmp_path / "cache", 0),
        )


def test_translation_trains_on_shards_from_the_command_line(advtasks: Run, tmp_path: Path) -> None:
    for number in range(6):
        colours = natural(40, 36, number)
        for side, values in (("input", colours.mean(2).astype(np.uint8)), ("target", colours)):
            (tmp_path / "files").mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / "files" / f"{number}.{side}.png")
    shards = packed(tmp_path / "files", tmp_path / "shards" / "all.tar")
    code, out, err = advtasks("data", "check", shards, "--task", "pix2pix")
    assert code == 0, err
    assert "A ends in 'input', B in 'target'" in out
    code, _, err = advtasks(
        "train", "pix2pix", "--data", shards, "--out", tmp_path / "run", "--generator", "unet:levels=3:width=4",
        "--load", "0", "--crop", "16", "--batch", "2", "--device", "cpu", "--precision", "fp32", "--metric-network",
        "efficientnet-lite0:levels=2", "--perceptual-network", "efficientnet-lite0:levels=2", "--steps", "4",
        "--adversary.discriminator", "patch:features=4:layers=1:norm=none", "--cache-gib", "0", "--workers", "1",
    )  # fmt: skip
    assert code == 0, err
    assert "pairs: 5 to train on, decoded each time they are needed, 1 to validate on" in err


def test_of_streamed_pairs_one_that_can_be_used_is_held_out(tmp_path: Path) -> None:
    """Which are broken is known only when they are read."""
    files = files_of(tmp_path / "files")
    first = splits(files, tmp_path / "cache", cache_gib=0.0)
    held = [Path(pair.name).name for pair in first.validation]
    for name in held:
        (files / "train_img" / f"{name}.tif").write_bytes((files / "train_img" / f"{name}.tif").read_bytes()[:-4000])
    again = splits(files, tmp_path / "cache", cache_gib=0.0)
    found = [Path(pair.name).name for pair in again.validation]
    assert found
    assert not set(found) & set(held)
    assert ALL_VALIDATED in splits(files, tmp_path, validation=files, cache_gib=0.0).notes


def test_streamed_pairs_go_to_loader_processes_that_are_not_forked(tmp_path: Path) -> None:
    config = dataclasses.replace(QUICK, data=files_of(tmp_path / "files"), crop=16, load=0, cache_gib=0.0)
    for gib in (0.0, 50.0):
        cache = PictureCache(tmp_path / "cache", gib, Console(sys.stderr).watch)
        made = make_splits(dataclasses.replace(config, cache_gib=gib), find_sides(config), cache)
        again = pickle.loads(pickle.dumps(made.train))
        one, other = made.train[Position(1, 2, 3)], again[Position(1, 2, 3)]
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_tables_of_equal_name_in_several_archives(tmp_path: Path) -> None:
    for number in range(2):
        folder = made(tmp_path / f"files-{number}", "data/a.png", "data/b.png")
        (folder / "data" / "metadata.jsonl").write_text('{"edited_image": "b.png", "input_image": "a.png"}')
        packed(folder, tmp_path / "shards" / f"{number}.tar")
    pairs = find_pairs(tmp_path / "shards")
    assert not pairs.problems
    assert names(pairs) == [("a.png", "b.png")] * 2, "of columns, too, the words say the side"
