"""A system maps some 65,000 files at a time (Linux: vm.max_map_count), and a data set may hold more pictures."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advtasks_text2image.data import pixels_of
from PIL import Image

from advtasks.config import RunConfig
from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.data.parallel import in_parallel
from advtasks.errors import DataError
from advtasks.plugins import plugins, resolve
from advtasks.task import Splits, Task

COUNT, MOST = 24, 3


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """Pictures whose names say their colours."""
    folder, rng = tmp_path / "coloured", np.random.default_rng(0)
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)).save(folder / f"{number:02} thing.png")
    return folder


def task(name: str, folder: Path, **options: object) -> Task:
    provided = plugins().find("tasks", name).spec
    config: RunConfig = next(iter(resolve(provided.presets).values()))
    made: Task = resolve(provided.task)(dataclasses.replace(config, data=folder, **options))
    return made


def mapped(folder: Path) -> int:
    """How many files below it are."""
    return sum(f" {folder}/" in line for line in Path("/proc/self/maps").read_text().splitlines())


def drawn(splits: Splits) -> list[dict[str, torch.Tensor]]:
    count = len(splits.train)  # type: ignore[arg-type]
    return [splits.train[Position(index, index, 7)] for index in range(count)]


TASKS = {
    "sr": {"patch": 6},
    "sr:degradation": {"patch": 4, "degradation": "bicubic", "random_scale": (0.9, 1.0)},
    "pix2pix": {"make_input": "grey", "crop": 32, "load": 0},
    "text2image": {"captions": "names", "encoder": "hash:width=16", "size": 16, "metric_pictures": 16},
}


@pytest.mark.parametrize(("name", "options"), TASKS.items(), ids=list(TASKS))
def test_few_files_are_mapped_at_a_time(
    name: str, options: dict[str, object], coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is drawn is the same, mapped anew, kept, in another process, or decoded each time."""
    made = task(name.partition(":")[0], coloured, **options)
    whole = made.splits(PictureCache(tmp_path / "one"))
    kept = drawn(whole)
    monkeypatch.setattr("advtasks.data.cache.MAPPED", MOST)
    splits = made.splits(PictureCache(tmp_path / "two"))
    found = drawn(splits)
    assert len(list((tmp_path / "two").glob("*/*.npy"))) >= COUNT
    assert mapped(tmp_path / "one") > COUNT // 2
    assert 0 < mapped(tmp_path / "two") <= MOST + 2 * 8, "those of validation are held"
    sent = drawn(pickle.loads(pickle.dumps(splits)))
    for other in (found, sent):
        assert all(torch.equal(a[key], b[key]) for a, b in zip(kept, other, strict=True) for key in a)


@pytest.mark.parametrize("name", ["sr", "pix2pix", "text2image"])
def test_a_cache_that_is_removed_while_training_is_made_again(name: str, coloured: Path, tmp_path: Path) -> None:
    made = task(name, coloured, **TASKS[name])
    cache = PictureCache(tmp_path / "cache")
    splits = pickle.loads(pickle.dumps(made.splits(cache)))  # with nothing mapped yet
    before = drawn(splits)
    splits = pickle.loads(pickle.dumps(splits))
    for path in (tmp_path / "cache").glob("*/*.npy"):
        path.unlink()
    after = drawn(splits)
    assert all(torch.equal(a[key], b[key]) for a, b in zip(before, after, strict=True) for key in a)
    assert list((tmp_path / "cache").glob("*/*.npy"))


def test_text2image_that_keeps_nothing_holds_no_pictures(coloured: Path, tmp_path: Path) -> None:
    """They are decoded each time; those of validation, which are looked at time and again, are held."""
    made = task("text2image", coloured, **TASKS["text2image"])
    splits = made.splits(PictureCache(tmp_path / "none", limit_gib=0))
    (held,) = splits.validation
    for path in coloured.iterdir():
        path.unlink()
    assert all(item.read().shape == (16, 16, 3) for item in held.validation)
    with pytest.raises(DataError, match="thing"):
        held.train[0].read()


def test_a_picture_that_took_the_place_of_another_is_not_kept_under_its_fingerprint(
    coloured: Path, tmp_path: Path
) -> None:
    cache = PictureCache(tmp_path / "cache")
    path = coloured / "00 thing.png"
    content, _ = cache.rgb8(path)
    again = pickle.loads(pickle.dumps(cache))  # with nothing mapped
    (stored,) = (tmp_path / "cache").glob("*/*.npy")
    stored.unlink()
    Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(DataError, match="00 thing.png: has changed since training began"):
        again.rgb8(path)
    assert not list((tmp_path / "cache").glob("*/*.npy"))
    assert PictureCache(tmp_path / "cache").rgb8(path)[0] != content


def test_features_are_of_some_pictures_of_very_many(
    coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = task("text2image", coloured, **TASKS["text2image"])
    (held,) = made.splits(PictureCache(tmp_path / "cache")).validation
    monkeypatch.setattr("advtasks_text2image.measure.FITTED", 5)
    made.measure.fit(held.train, made.encoder)
    spread = [round(number * (len(held.train) - 1) / 4) for number in range(5)]
    some = [held.train[number] for number in spread]
    assert made.measure.nearest(pixels_of(some)) == some, "each is its own neighbour"


def test_work_is_handed_out_a_little_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item that waits takes memory, and there may be millions."""
    monkeypatch.setattr("advtasks.data.parallel._AHEAD", 4)
    begun: list[int] = []
    most = 0

    def work(number: int) -> int:
        begun.append(number)
        if number == 7:
            raise DataError("seven")
        return number * 2

    def watch(what: str, done: int, count: int) -> None:
        nonlocal most
        most = max(most, len(begun) - done)

    results, errors = in_parallel("doubling", range(50), work, watch)
    assert results == [number * 2 for number in range(50) if number != 7]
    assert [str(error) for error in errors] == ["seven"]
    assert most <= 4


def test_errors_of_many_files_do_not_hold_what_was_decoded() -> None:
    gone = []

    def work(number: int) -> None:
        values = np.zeros(1000)
        gone.append(weakref.ref(values))
        try:
            raise ValueError(values)
        except ValueError as error:
            raise DataError(f"{number}: broken") from error

    _, errors = in_parallel("decoding", range(5), work)
    gc.collect()
    assert [str(error) for error in errors] == [f"{number}: broken" for number in range(5)]
    assert [reference() for reference in gone] == [None] * 5
