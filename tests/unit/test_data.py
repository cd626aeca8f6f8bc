"""Folders, cache, sampling, layouts."""

from __future__ import annotations

import itertools
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.data import make_splits
from advtasks_sr.layouts import find_sources, recognize
from advtasks_sr.patches import Pair, Patches
from PIL import Image

from advtasks.data import check
from advtasks.data.cache import PictureCache, default_folder
from advtasks.data.folder import find_pictures, hold_out
from advtasks.data.loader import Position, batches, positions
from advtasks.data.resize import bicubic_downscale, downscale_rgb8
from advtasks.errors import AdvtasksError, DataError


def config(folder: Path, **fields: object) -> SuperResolutionConfig:
    return SuperResolutionConfig(data=folder, patch=8, **fields)  # type: ignore[arg-type]


def test_finding_pictures(photos: Path) -> None:
    (photos / "notes.txt").write_text("x")
    (photos / ".hidden.png").touch()
    (photos / "loop").symlink_to(photos)
    found = find_pictures(photos)
    assert [path.name for path in found.pictures] == [f"picture-{i}.png" for i in (4, 5, 0, 1, 2, 3)]
    assert [path.name for path in found.others] == ["notes.txt"]
    with pytest.raises(DataError, match="no such folder"):
        find_pictures(photos / "missing")
    with pytest.raises(DataError, match="is a file"):
        find_pictures(photos / "notes.txt")


def test_holding_out_depends_on_content_alone() -> None:
    names = [f"{i:02x}" for i in range(20)]
    assert len(hold_out(names)) == 4
    assert hold_out(names) == hold_out(names[::-1]) == hold_out(names * 2)
    assert hold_out(["a"]) == set()
    assert len(hold_out([f"{i:04x}" for i in range(1000)])) == 40


def test_the_stream_of_samples_resumes_anywhere() -> None:
    whole = list(itertools.islice(positions(7, seed=3), 50))
    for start in (0, 1, 6, 7, 20):
        assert list(itertools.islice(positions(7, seed=3, start=start), 50 - start)) == whole[start:]
    assert sorted(p.index for p in whole[:7]) == list(range(7)), "an epoch sees every picture once"
    assert [p.index for p in whole[:7]] != [p.index for p in whole[7:14]]
    assert len({p.seed for p in whole}) == 50
    assert list(itertools.islice(positions(7, seed=4), 7)) != whole[:7]


@pytest.fixture
def pairs() -> list[Pair]:
    rng = np.random.default_rng(0)
    found = []
    for number in range(3):
        high = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
        found.append(Pair(str(number), str(number), high, downscale_rgb8(high, 4)))
    return found


@pytest.mark.parametrize("channel_shuffle", [0.0, 1.0])
def test_patches_are_aligned_and_changed_together(pairs: list[Pair], channel_shuffle: float) -> None:
    dataset = Patches(pairs, patch=6, scale=4, channel_shuffle=channel_shuffle)
    seen = set()
    for seed in range(40):
        item = dataset[Position(seed % 3, seed)]
        low, high = (item[name].permute(2, 0, 1).double()[None] for name in ("low", "high"))
        assert low.shape == (1, 3, 6, 6)
        assert high.shape == (1, 3, 24, 24)
        # the interior of a crop, downscaled, is the crop of the downscaled picture
        inner = bicubic_downscale(high, 4)[..., 2:-2, 2:-2]
        assert (inner - low[..., 2:-2, 2:-2]).abs().max() <= 0.5001
        seen.add(item["low"].numpy().tobytes())
    assert len(seen) > 30


def test_a_sample_is_a_function_of_its_position_whatever_the_workers(pairs: list[Pair]) -> None:
    dataset = Patches(pairs, patch=6, scale=4)

    def first(count: int, **how: int) -> list[torch.Tensor]:
        stream = batches(dataset, batch=2, seed=1, **how)
        found = [batch["low"] for batch in itertools.islice(stream, count)]
        stream.close()
        return found

    here = first(5)
    assert all(torch.equal(a, b) for a, b in zip(here, first(5, workers=2), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(here[3:], first(2, first_batch=3), strict=True))


def test_cache_decodes_once_shares_and_mends(photos: Path, cache_folder: Path) -> None:
    path = photos / "picture-0.png"
    content, pixels = PictureCache().rgb8(path)
    assert np.array_equal(pixels, np.asarray(Image.open(path)))
    assert not pixels.flags.writeable
    (stored,) = cache_folder.glob("*/*.npy")
    written = stored.stat().st_mtime_ns
    copy = photos / "copy.png"
    copy.write_bytes(path.read_bytes())
    assert PictureCache().rgb8(copy)[0] == content
    assert len(list(cache_folder.glob("*/*.npy"))) == 1
    assert stored.stat().st_mtime_ns >= written
    stored.write_bytes(stored.read_bytes()[:50])  # cut off
    assert np.array_equal(PictureCache().rgb8(path)[1], np.asarray(Image.open(path)))


def test_cached_pictures_hold_no_file_descriptors(photos: Path) -> None:
    cache = PictureCache()
    opened = len(list(Path("/proc/self/fd").iterdir()))
    arrays = [cache.rgb8(path)[1] for path in find_pictures(photos).pictures for _ in range(20)]
    assert len(arrays) == 120
    assert len(list(Path("/proc/self/fd").iterdir())) - opened < 5


@pytest.mark.parametrize(
    "array", [np.zeros((), np.float32), np.arange(6, dtype=np.uint16), np.ones((3, 1, 70), np.uint8)]
)
def test_known_arrays_are_read_without_pythons_parser(array: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may fail in several threads at once, with a SystemError."""
    PictureCache().array("0123456789", "test", lambda: array)
    monkeypatch.setattr("ast.literal_eval", lambda *_: pytest.fail("parsed"))
    found = PictureCache().known("0123456789", "test")
    assert found is not None
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


def test_cache_is_bounded_and_keeps_what_the_run_uses(photos: Path, cache_folder: Path) -> None:
    old = cache_folder / "ab" / "abcdef0123.rgb8.v0.npy"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(2**20))
    os.utime(old, (time.time() - 9000, time.time() - 9000))
    left_over = cache_folder / "ab" / ".0badcafe-1-0badcafe.tmp.npy"
    left_over.touch()
    os.utime(left_over, (time.time() - 9000, time.time() - 9000))
    cache = PictureCache(limit_gib=0.5 / 1024)
    results, errors = cache.load("decoding", find_pictures(photos).pictures, cache.rgb8)
    assert len(results) == 6
    assert not errors
    assert not old.exists()
    assert not left_over.exists()
    done: list[int] = []
    tight = PictureCache(limit_gib=0.05 / 1024, watch=lambda what, number, count: done.append(number))
    with pytest.raises(AdvtasksError, match=r"the first \d arrays .* may hold: raise --cache-gib, .*--cache-gib 0"):
        tight.load("decoding", find_pictures(photos).pictures, tight.rgb8)
    assert len(done) < 6, "not after all have been decoded"


def test_bad_files_are_skipped_and_named_until_nothing_is_left(photos: Path) -> None:
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much")
    (photos / "zero.png").touch()
    (photos / "notes.txt").write_text("x")
    Image.new("RGB", (20, 20)).save(photos / "tiny.png")
    splits = make_splits(config(photos), PictureCache())
    notes = "\n".join(splits.notes)
    for name in ("cut.jpg", "zero.png", "notes.txt", "tiny.png"):
        assert name in notes
    assert len(splits.train) + len(splits.validation) == 6
    for path in photos.rglob("picture-*"):
        path.unlink()
    with pytest.raises(DataError, match="nothing is left to train on(.|\n)*zero.png"):
        make_splits(config(photos), PictureCache())


def test_one_picture_trains_with_a_warning(photos: Path) -> None:
    for path in list(photos.rglob("picture-*"))[1:]:
        path.unlink()
    splits = make_splits(config(photos), PictureCache())
    assert len(splits.train) == len(splits.validation) == 1
    assert "too few pictures to hold any out" in "\n".join(splits.notes)


def make_pairs(folder: Path, names: list[str], low_name: str = "{}.png", low_folder: str = "lr") -> None:
    for number, name in enumerate(names):
        high = np.random.default_rng(number).integers(0, 256, (64, 80, 3), dtype=np.uint8)
        for part, pixels, file in (
            ("hr", high, f"{name}.png"),
            (low_folder, downscale_rgb8(high, 4), low_name.format(name)),
        ):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / part / file)


@pytest.mark.parametrize(
    ("low_name", "low_folder"),
    [("{}.png", "lr"), ("{}x4.png", "LR"), ("{}_x4.png", "lr_x4"), ("{}.png", "lr/X4")],
)
def test_pairs_are_recognised(tmp_path: Path, low_name: str, low_folder: str) -> None:
    make_pairs(tmp_path, ["a", "b", "c"], low_name, low_folder)
    layout = recognize(tmp_path)
    assert layout is not None
    assert layout.name == "hr + lr pairs"
    assert not layout.problems
    splits = make_splits(config(tmp_path), PictureCache())
    assert len(splits.train) == 2
    stored = np.asarray(Image.open(next((tmp_path / low_folder).glob("a*"))))
    examples = [*splits.validation, *map(splits.train.items.load, splits.train.items.pairs)]
    assert any(np.array_equal(example.low, stored) for example in examples if example.name.endswith("a.png"))


@pytest.mark.parametrize("names", [("hr", "lr"), ("GT", "LQ_x4")])
def test_pairs_in_two_archives_are_recognised(tmp_path: Path, names: tuple[str, str]) -> None:
    make_pairs(tmp_path / "raw", ["a", "b", "c"])
    (tmp_path / "set").mkdir()
    for name, part in zip(names, ("hr", "lr"), strict=True):
        with tarfile.open(tmp_path / "set" / f"{name}.tar", "w") as archive:
            for path in (tmp_path / "raw" / part).iterdir():
                archive.add(path, path.name)
    layout = recognize(tmp_path / "set")
    assert layout is not None
    assert (layout.name, layout.problems) == ("hr + lr pairs", ())
    splits = make_splits(config(tmp_path / "set"), PictureCache())
    assert len(splits.train) == 2
    stored = {np.asarray(Image.open(path)).tobytes() for path in (tmp_path / "raw" / "lr").iterdir()}
    assert {
        example.low.tobytes()
        for example in (*splits.validation, *map(splits.train.items.load, splits.train.items.pairs))
    } == stored


def test_pairs_in_two_columns_are_recognised(tmp_path: Path) -> None:
    import datasets

    make_pairs(tmp_path / "raw", ["a", "b", "c"])
    columns = {part: [str(tmp_path / "raw" / part / f"{name}.png") for name in "abc"] for part in ("hr", "lr")}
    table = datasets.Dataset.from_dict(columns)
    for part in columns:
        table = table.cast_column(part, datasets.Image())
    table.save_to_disk(tmp_path / "set")
    layout = recognize(tmp_path / "set")
    assert layout is not None
    assert (layout.name, layout.problems) == ("hr + lr pairs", ())
    assert len(make_splits(config(tmp_path / "set"), PictureCache()).train) == 2


def test_pairs_that_do_not_fit_are_listed_by_name_before_anything_starts(tmp_path: Path) -> None:
    make_pairs(tmp_path, ["a", "b", "c"])
    (tmp_path / "lr" / "b.png").unlink()
    Image.new("RGB", (10, 10)).save(tmp_path / "lr" / "c.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "lr" / "stray.png")
    with pytest.raises(DataError, match="3 pictures do not pair") as error:
        make_splits(config(tmp_path), PictureCache())
    for name in (
        "b.png: no low-resolution partner",
        "c.png is 80x64",
        "stray.png: no high-resolution partner",
    ):
        assert name in str(error.value)


def test_div2k_as_unpacked(tmp_path: Path) -> None:
    for split, names in (("train", ["0001", "0002"]), ("valid", ["0801"])):
        make_pairs(tmp_path / "raw", names, "{}x4.png", f"X4-{split}")
        target = tmp_path / "set" / f"DIV2K_{split}_LR_bicubic" / "X4"
        target.parent.mkdir(parents=True)
        (tmp_path / "raw" / f"X4-{split}").rename(target)
        (tmp_path / "raw" / "hr").rename(tmp_path / "set" / f"DIV2K_{split}_HR")
    sources = find_sources(tmp_path / "set", 4)
    assert sources.name == "DIV2K"
    assert [source.low.name for source in sources.train if source.low] == ["0001x4.png", "0002x4.png"]
    splits = make_splits(config(tmp_path / "set"), PictureCache())
    assert [Path(example.name).name for example in splits.validation] == ["0801.png"]
    without_partner = find_sources(tmp_path / "set", 2)
    assert all(source.low is None for source in without_partner.train), "scale 2 is made from the high resolution"


def test_low_resolution_pictures_of_another_scale_never_become_targets(tmp_path: Path) -> None:
    make_pairs(tmp_path, ["a", "b"], low_folder="lr_x2")
    sources = find_sources(tmp_path, 4)
    assert [source.high.parent.name for source in sources.train] == ["hr", "hr"]
    assert {path.parent.name for path in sources.ignored} == {"lr_x2"}


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"no pictures found \(1 files of other kinds\)"):
        find_sources(tmp_path, 4)
    assert recognize(tmp_path) is None
    with pytest.raises(DataError, match=r"a.txt is a file, .*: give the one that it lies in"):
        find_sources(tmp_path / "a.txt", 4)
    (tmp_path / "photos.tar.gz").touch()
    with pytest.raises(DataError, match=r"no pictures found \(2 .*; photos.tar.gz is compressed.*: unpack it, or make"):
        find_sources(tmp_path, 4)


def test_two_low_resolution_files_of_one_name_are_told(tmp_path: Path) -> None:
    make_pairs(tmp_path, ["a", "b"])
    (tmp_path / "lr" / "ax4.png").write_bytes((tmp_path / "lr" / "a.png").read_bytes())
    layout = recognize(tmp_path)
    assert layout is not None
    (problem,) = layout.problems
    assert "lr/a.png have the same name: which one is meant is not clear" in problem


def test_what_is_not_the_caches_stays_in_its_folder(photos: Path, tmp_path: Path) -> None:
    theirs = [tmp_path / "datasets" / "precious.tar", tmp_path / "ab" / "notes.npy", tmp_path / "ab" / "deep" / "x.npy"]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(2**20))
        os.utime(path, (1, 1))
    cache = PictureCache(tmp_path, limit_gib=0.5 / 1024)
    cache.load("decoding", find_pictures(photos).pictures, cache.rgb8)
    assert all(path.is_file() for path in theirs)


def test_an_empty_name_is_no_folder_of_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVTASKS_CACHE", "")
    assert default_folder().name == "pictures"


def test_a_cache_of_another_user_can_be_read(photos: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photos / "picture-0.png"
    kept = PictureCache().rgb8(path)[1].copy()

    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    cache = PictureCache()
    monkeypatch.setattr("advtasks.data.cache.read_picture", lambda *_: pytest.fail("it is known"))
    assert np.array_equal(cache.rgb8(path)[1], kept)
    PictureCache(limit_gib=0.1 / 2**20).prune()


def test_arrays_by_columns_are_kept_as_they_are(cache_folder: Path) -> None:
    made = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert np.array_equal(PictureCache().array("0123456789", "test", lambda: made), made)
    assert np.array_equal(PictureCache().known("0123456789", "test"), made)  # type: ignore[arg-type]


def test_an_interrupt_of_data_check_leaves_the_queue(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []

    def slow(path: Path) -> None:
        begun.append(path)
        time.sleep(0.02)

    def watch(what: str, done: int, count: int) -> None:
        raise KeyboardInterrupt

    for number in range(100):
        (photos / f"{number}.png").touch()
    monkeypatch.setattr(check, "_check", slow)
    with pytest.raises(KeyboardInterrupt):
        check.check_folder(photos, 0, watch)
    assert len(begun) < 50


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"closed: the folder cannot be read \(Permission denied\)"):
        find_pictures(tmp_path)


def test_folders_of_the_file_system_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    for place in (tmp_path, tmp_path / "lost+found"):
        Image.new("RGB", (4, 4)).save(place / "a.png")
    assert find_pictures(tmp_path).pictures == (tmp_path / "a.png",)


def test_a_folder_that_a_link_leads_to_has_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "train" / "a.png")
    (tmp_path / "latest").symlink_to(tmp_path / "train")
    assert find_pictures(tmp_path).pictures == (tmp_path / "train" / "a.png",)
