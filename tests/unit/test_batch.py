"""Many files through one model: names, clashes, what is skipped and what fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from advtasks.errors import UsageError
from advtasks.inference.batch import Summary, plan, process
from advtasks.inference.engine import ImageModel

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)


def run(identity: ImageModel, inputs: list[Path], out: Path, *, overwrite: bool = False) -> Summary:
    summary = Summary()
    for job in plan(inputs, out, "x1"):
        process(job, identity, summary, overwrite=overwrite)
    return summary


def test_nothing_is_overwritten_whatever_its_name(identity: ImageModel, tmp_path: Path) -> None:
    source, out = tmp_path / "IMG[1]*.png", tmp_path / "out"
    Image.fromarray(PIXELS).save(source)
    (written,) = run(identity, [source], out).written
    written.write_bytes(b"precious")
    assert run(identity, [source], out).skipped == [source]
    assert written.read_bytes() == b"precious"
    assert run(identity, [source], out, overwrite=True).written == [written]
    assert written.read_bytes() != b"precious"


def test_pictures_of_equal_stem_each_have_their_result(identity: ImageModel, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for suffix in ("gif", "png", "webp", "tiff"):
        Image.fromarray(PIXELS).save(folder / f"a.{suffix}")
    summary = run(identity, [folder], tmp_path / "out")
    assert not summary.skipped
    assert not summary.failed
    assert {path.name for path in summary.written} == {"a_x1.png", "a_x1_png.png", "a_x1.webp", "a_x1.tiff"}


def test_results_within_the_input_folder_are_not_inputs(identity: ImageModel, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for out in (tmp_path, tmp_path / "out"):
        assert [path.name for path in run(identity, [tmp_path], out).written] == ["a_x1.png"]
        assert [job.source.name for job in plan([tmp_path], out, "x1")] == ["a.png"], "the result is no input"
        for result in tmp_path.rglob("*_x1.png"):
            result.unlink()


def test_whatever_an_encoder_raises_the_others_are_done(
    identity: ImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")
    save = Image.Image.save

    def failing(image: Image.Image, path: Path, **options: object) -> None:
        if ".a_x1" in Path(path).name:
            raise ValueError("encoding error 5")
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", failing)
    summary = run(identity, [tmp_path], tmp_path / "out")
    assert [path.name for path in summary.written] == ["b_x1.png"]
    assert summary.failed == [(tmp_path / "a.png", "encoding error 5")]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_x1.png"]


def test_inputs_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        plan([tmp_path / "none"], tmp_path, "x4")
    with pytest.raises(UsageError, match="no pictures in"):
        plan([tmp_path], tmp_path / "out", "x4")
