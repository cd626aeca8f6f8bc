"""Tar shards and Hugging Face data sets are folders of pictures; data that is decoded when it is needed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from advtasks_sr.data import make_splits
from advtasks_sr.presets import QUICK
from PIL import Image

from advtasks.data import resize
from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures
from advtasks.data.loader import Position, batches
from advtasks.data.stored import StoredFile
from advtasks.errors import DataError, TrainingError
from advtasks.pictures.decode import picture_size, read_picture
from advtasks.training.failures import told
from advtasks.training.interrupt import Interrupt

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shards(photos: Path, tmp_path: Path) -> Path:
    """The six pictures in two webdataset shards, with their sidecar files."""
    folder = tmp_path / "shards"
    folder.mkdir()
    paths = sorted(photos.rglob("*.png"))
    for number, part in enumerate((paths[:3], paths[3:])):
        with tarfile.open(folder / f"shard-{number:03}.tar", "w") as archive:
            for path in part:
                archive.add(path, f"{path.stem}.png")
                (tmp_path / "note.json").write_text("{}")
                archive.add(tmp_path / "note.json", f"{path.stem}.json")
    return folder


def test_a_tar_archive_is_a_folder_of_pictures(shards: Path, photos: Path) -> None:
    found = find_pictures(shards)
    assert {path.name for path in found.pictures} == {f"picture-{n}.png" for n in range(6)}
    assert len(found.others) == 6
    for path in found.pictures:
        again = pickle.loads(pickle.dumps(path))
        original = next(photos.rglob(path.name))
        assert isinstance(again, StoredFile)
        assert again.read_bytes() == original.read_bytes()
        assert again.stat().st_size == original.stat().st_size
        assert np.array_equal(read_picture(again).rgb8(), read_picture(original).rgb8())
        assert picture_size(path) == picture_size(original)
        assert path.relative_to(shards).with_suffix("").as_posix() == f"{path.parent.name}/{path.stem}"
        assert path.is_file()
        assert not path.with_suffix(".txt").is_file(), "what is derived is a plain path"
        assert not isinstance(path.parent / "more", StoredFile)
    assert find_pictures(shards, inside=False).pictures == ()


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"not a tar" * 100)
    with pytest.raises(DataError, match=r"bad\.tar: not a whole tar archive"):
        find_pictures(tmp_path)


def test_a_data_set_on_disk_is_a_folder_of_pictures(photos: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    paths = sorted(photos.rglob("*.png"))
    rows = {"image": [str(path) for path in paths], "caption": [path.stem for path in paths]}
    made = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    made.save_to_disk(str(tmp_path / "set"))
    found = find_pictures(tmp_path / "set").pictures
    assert [path.name for path in found] == [f"{n}.png" for n in range(6)]
    for path, original in zip(found, paths, strict=True):
        assert np.array_equal(read_picture(pickle.loads(pickle.dumps(path))).rgb8(), read_picture(original).rgb8())
    datasets.Dataset.from_dict({"caption": ["a"]}).save_to_disk(str(tmp_path / "text"))
    with pytest.raises(DataError, match="no column of pictures"):
        find_pictures(tmp_path / "text")


@pytest.mark.parametrize("cache_gib", [50.0, 0.0])
def test_training_on_shards_is_training_on_files(shards: Path, photos: Path, tmp_path: Path, cache_gib: float) -> None:
    """The same pictures are held out, and a position gives the same patch, cached or decoded each time."""
    config = dataclasses.replace(QUICK, patch=8)
    one, other = (
        make_splits(dataclasses.replace(config, data=data), PictureCache(tmp_path / "c", cache_gib))
        for data in (photos, shards)
    )
    if cache_gib:
        assert [Path(pair.name).name for pair in one.validation] == [Path(pair.name).name for pair in other.validation]
    assert len(one.train) == len(other.train) == 5  # type: ignore[arg-type]
    whole = [
        Path(pair.name).name
        for pair in make_splits(
            dataclasses.replace(config, data=shards), PictureCache(tmp_path / "d", cache_gib)
        ).validation
    ]
    assert whole == [Path(pair.name).name for pair in other.validation], "the choice is repeatable"


def test_streamed_patches_equal_cached_ones(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached, streamed = (
        make_splits(
            dataclasses.replace(QUICK, patch=8, data=photos, validation=photos), PictureCache(tmp_path / "c", gib)
        )
        for gib in (50.0, 0.0)
    )
    small, taken = resize._of_extended, set[tuple[int, ...]]()

    def noted(pictures: torch.Tensor, scale: int) -> torch.Tensor:
        taken.add(tuple(pictures.shape))
        return small(pictures, scale)

    monkeypatch.setattr(resize, "_of_extended", noted)
    for sample in range(12):
        one, other = (splits.train[Position(sample % 6, sample, 3)] for splits in (cached, streamed))
        assert all(torch.equal(one[name], other[name]) for name in ("low", "high"))
    assert taken == {(1, 3, 64, 64)}, "only patches, with their margins, are made smaller"
    assert streamed.fingerprint
    assert not list((tmp_path / "c").glob("*/*rgb8*"))[6:], "streaming wrote nothing"


def test_streamed_data_resumes_and_passes_over_what_it_cannot_use(
    photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "picture-2.png").write_bytes(b"broken")
    Image.new("RGB", (20, 20)).save(photos / "small.png")
    config = dataclasses.replace(QUICK, patch=8, data=photos, validation=photos / "more")
    splits = make_splits(config, PictureCache(limit_gib=0))
    stream = batches(splits.train, batch=2, seed=5)
    whole = [next(stream) for _ in range(8)]
    resumed = batches(splits.train, batch=2, seed=5, first_batch=4)
    for batch in whole[4:]:
        again = next(resumed)
        assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert "picture-2.png: cannot be decoded" in caplog.text
    assert "small.png: smaller than a patch of 32x32 pixels" in caplog.text
    assert caplog.text.count("picture-2.png") == 1, "said once"
    for path in photos.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="20 pictures in a row cannot be used"):
        splits.train[Position(0, 0)]


def test_a_run_on_shards_from_the_command_line(
    shards: Path, advtasks: Run, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    code, out, err = advtasks("data", "check", shards)
    assert code == 0, err
    assert "6 pictures" in out
    flags = [*tiny, "--steps", "6", "--cache-gib", "0", "--workers", "1"]
    code, _, err = advtasks("train", "sr", "--data", shards, "--out", tmp_path / "run", *flags)
    assert code == 0, err
    assert "decoded each time they are needed" in err


@pytest.mark.parametrize("damage", ["cut at a header", "cut within a header", "damaged header", "cut within a file"])
def test_an_archive_that_is_cut_off_loses_no_picture_silently(shards: Path, damage: str) -> None:
    path = shards / "shard-000.tar"
    with tarfile.open(path) as archive:
        third = archive.getmembers()[2]
    data = bytearray(path.read_bytes())
    if damage == "damaged header":
        data[third.offset : third.offset + 512] = b"\xff" * 512
    else:
        more = {"cut at a header": 0, "cut within a header": 100, "cut within a file": 700}[damage]
        data = data[: third.offset + more]
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-000.tar: (damaged or cut off after 2 files|not a whole tar archive)"):
        find_pictures(shards)


def test_data_sets_without_rows_or_pictures_are_named(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    kind = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict({"image": []}, features=kind).save_to_disk(tmp_path / "none")
    with pytest.raises(DataError, match=r"none: the data set has no rows"):
        find_pictures(tmp_path / "none")
    datasets.Dataset.from_dict({"image": [None]}, features=kind).save_to_disk(tmp_path / "null")
    (path,) = find_pictures(tmp_path / "null").pictures
    with pytest.raises(DataError, match=r"row 0 of the column 'image' holds no picture"):
        path.read_bytes()
    (tmp_path / "null/dataset_info.json").write_text("{")
    datasets.Dataset.from_dict({"image": [None]}, features=kind).save_to_disk(tmp_path / "bad")
    (tmp_path / "bad/dataset_info.json").write_text("{")
    with pytest.raises(DataError, match=r"bad: a Hugging Face data set that cannot be read"):
        find_pictures(tmp_path / "bad")


class Broken:
    """No item can be read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: Position) -> dict[str, torch.Tensor]:
        raise DataError("3.png: cannot be decoded")


def test_a_loader_process_hands_over_what_is_wrong() -> None:
    stream = batches(Broken(), batch=2, seed=0, workers=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"^3.png: cannot be decoded$"):
        next(stream)


class Deadly(Broken):
    """A loader process that reads it is killed."""

    def __getitem__(self, position: Position) -> dict[str, torch.Tensor]:
        assert torch.utils.data.get_worker_info() is not None
        os.kill(os.getpid(), signal.SIGKILL)
        return {}


def test_a_loader_process_that_dies_is_told() -> None:
    stream = batches(Deadly(), batch=2, seed=0, workers=1)  # type: ignore[arg-type]
    with (
        pytest.raises(TrainingError, match=r"a loader process died \(DataLoader worker .*then start again"),
        told(Path()),
    ):
        next(stream)


def test_links_within_an_archive_are_the_files_that_they_lead_to(photos: Path, tmp_path: Path) -> None:
    folder, packed = tmp_path / "shards", tmp_path / "packed"
    folder.mkdir()
    (packed / "sub").mkdir(parents=True)
    (packed / "a.png").write_bytes(min(photos.rglob("*.png")).read_bytes())
    os.link(packed / "a.png", packed / "b.png")
    (packed / "sub" / "c.png").symlink_to("../a.png")
    (packed / "d.png").symlink_to(tmp_path / "elsewhere.png")
    with tarfile.open(folder / "shard.tar", "w") as archive:
        archive.add(packed, ".")
    found = {path.name: path for path in find_pictures(folder).pictures}
    assert sorted(found) == ["a.png", "b.png", "c.png", "d.png"]
    assert len({read_picture(found[name]).pixels.tobytes() for name in ("a.png", "b.png", "c.png")}) == 1
    with pytest.raises(DataError, match=r"d\.png: the file is empty"):
        read_picture(found["d.png"])


class Wrong(Broken):
    """Has a mistake of its own."""

    def __getitem__(self, position: Position) -> dict[str, torch.Tensor]:
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")


def test_a_mistake_of_a_data_set_is_not_told_as_the_death_of_a_process() -> None:
    stream = batches(Wrong(), batch=2, seed=0, workers=1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"The size of tensor a \(3\) must match"):
        next(stream)


class Signalled(Broken):
    """Is sent what a terminal and a launcher send to all processes of a run."""

    def __getitem__(self, position: Position) -> dict[str, torch.Tensor]:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return {"left": torch.tensor(signal.alarm(60))}  # seconds until it would end


def test_a_loader_process_outlives_signals_that_the_trainer_answers() -> None:
    with Interrupt(), contextlib.closing(batches(Signalled(), batch=2, seed=0, workers=1)) as stream:  # type: ignore[arg-type]
        for _ in range(3):
            left = next(stream)["left"]
        assert (left >= 50).all(), "asked to end, it ends by itself in a minute if nobody ends it"


def test_of_a_member_that_is_there_twice_the_last_holds(photos: Path, tmp_path: Path) -> None:
    first, second = sorted(photos.rglob("*.png"))[:2]
    (tmp_path / "set").mkdir()
    for mode, path in (("w", first), ("a", second)):
        with tarfile.open(tmp_path / "set" / "x.tar", mode) as archive:  # type: ignore[call-overload]
            archive.add(path, "a.png")
    (found,) = find_pictures(tmp_path / "set").pictures
    assert np.array_equal(read_picture(found).pixels, read_picture(second).pixels)
