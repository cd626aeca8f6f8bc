"""Runs on tar shards and Hugging Face data sets end where runs on the files end, stopped and resumed or not."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trainings import take_back

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sets(photos: Path, tmp_path: Path) -> dict[str, Path]:
    """The same pictures as files, in two shards, and in a data set, in one order; two others to validate on."""
    datasets = pytest.importorskip("datasets")
    held = tmp_path / "held"
    (photos / "more").rename(held)
    paths = sorted(photos.glob("*.png"))
    (tmp_path / "shards").mkdir()
    for number, part in enumerate((paths[:2], paths[2:])):
        with tarfile.open(tmp_path / "shards" / f"{number:03}.tar", "w") as archive:
            for path in part:
                archive.add(path, path.name)
    made = datasets.Dataset.from_dict({"image": list(map(str, paths))}).cast_column("image", datasets.Image())
    made.save_to_disk(str(tmp_path / "set"))
    return {"files": photos, "shards": tmp_path / "shards", "set": tmp_path / "set", "held": held}


@pytest.mark.parametrize("flags", [(), ("--cache-gib", "0", "--workers", "1")], ids=["decoded once", "each time"])
def test_shards_and_data_sets_train_as_files_and_resume(
    advtasks: Run, sets: dict[str, Path], tmp_path: Path, tiny: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    found = {}
    for name in ("files", "shards", "set"):
        run = tmp_path / f"run-{name}"
        more = ("--validation", sets["held"], "--steps", "6", *tiny, *flags)
        code, _, err = advtasks("train", "sr", "--data", sets[name], "--out", run, *more)
        assert code == 0, err
        bundle = run / "bundle.safetensors"
        whole, found[name] = bundle.read_bytes(), load_file(bundle)
        if name == "files":
            continue
        take_back(run)
        code, _, err = advtasks("train", "--resume", run)
        assert code == 0, err
        assert "going on at step" in err
        assert "data changed" not in err
        assert bundle.read_bytes() == whole
    for name, values in found["files"].items():
        assert torch.equal(values, found["shards"][name])
        assert torch.equal(values, found["set"][name])


def test_a_data_set_that_was_saved_anew_is_noticed(
    advtasks: Run, sets: dict[str, Path], tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    """Of equal length: its rows have no sizes that would tell."""
    import datasets

    more = ("--validation", sets["held"], "--steps", "4", *tiny, "--cache-gib", "0")
    code, _, err = advtasks("train", "sr", "--data", sets["set"], "--out", tmp_path / "run", *more)
    assert code == 0, err
    turned = [str(path) for path in sorted(sets["files"].glob("*.png"))][::-1]
    shutil.rmtree(sets["set"])
    made = datasets.Dataset.from_dict({"image": turned}).cast_column("image", datasets.Image())
    made.save_to_disk(str(sets["set"]))
    (tmp_path / "run" / "bundle.safetensors").unlink()
    code, _, err = advtasks("train", "--resume", tmp_path / "run")
    assert code == 0, err
    assert "the data changed since the run began" in err
