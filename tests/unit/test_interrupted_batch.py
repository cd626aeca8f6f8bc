"""A batch that is stopped by Ctrl-C: what is done is told, nothing hangs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from advtasks.inference.command import run_command
from advtasks.inference.engine import ImageModel
from advtasks.inference.feed import Abandoned, Feed
from advtasks.inference.options import PictureOptions
from advtasks.inference.results import Result
from advtasks.inference.sizes import OutputSize


class Stopped(torch.nn.Module):
    """Gives pictures back, until somebody presses Ctrl-C while the third is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, tile: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return tile


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # which the command lifts
    (tmp_path / "in").mkdir()
    for name in "abcd":
        Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(tmp_path / "in" / f"{name}.png")
    return tmp_path


def options(folder: Path, **more: Any) -> PictureOptions:
    return PictureOptions(
        pictures=(str(folder / "in"),), out=folder / "out", model=Path("m"), report=folder / "report.json",
        device="cpu", precision="fp32", **more,
    )  # fmt: skip


def maker(network: torch.nn.Module, identity: ImageModel) -> Callable[..., ImageModel]:
    return lambda device, tile, **more: ImageModel(network, identity.manifest, device, tile, **more)


def test_what_was_done_before_is_in_the_report_and_the_way_on_is_told(
    folder: Path, identity: ImageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(options(folder, jobs=1), maker(Stopped(), identity), OutputSize(1)) == 130
    report = json.loads((folder / "report.json").read_text())
    assert report["stopped"] == "interrupted"
    assert [(Path(file["source"]).name, file["status"]) for file in report["files"]] == [
        ("a.png", "written"),
        ("b.png", "written"),
    ]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a_x1.png", "b_x1.png"], "nothing half done"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("2 written, 0 skipped, 0 failed")
    assert last.endswith(
        "stopped, 2 not done: run the same command again: what is done is skipped, unless you --overwrite"
    )
    assert run_command(options(folder), maker(torch.nn.Identity(), identity), OutputSize(1)) == 0
    files = json.loads((folder / "report.json").read_text())["files"]
    assert sorted(file["status"] for file in files) == ["skipped", "skipped", "written", "written"]


def test_a_picture_that_is_being_encoded_is_told_of_too(
    folder: Path, identity: ImageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the encoder is waited for: the file is finished, so the report has it."""
    waited = Future.result
    interrupts = iter([True])

    def result(self: Future[Any], timeout: float | None = None) -> Any:
        value = waited(self, timeout)
        if isinstance(value, Result) and next(interrupts, False):
            raise KeyboardInterrupt
        return value

    monkeypatch.setattr(Future, "result", result)
    assert run_command(options(folder, jobs=1), maker(torch.nn.Identity(), identity), OutputSize(1)) == 130
    told = {Path(file["target"]).name for file in json.loads((folder / "report.json").read_text())["files"]}
    assert told == {path.name for path in (folder / "out").iterdir()}


def test_failing_never_waits_for_the_reader() -> None:
    feed = Feed()
    for _ in range(2):
        feed.put(np.zeros(1))
    failing = threading.Thread(target=feed.fail, args=(KeyboardInterrupt(),), daemon=True)
    failing.start()
    failing.join(5)
    assert not failing.is_alive(), "a second Ctrl-C there would have left the reader waiting for good"
    with pytest.raises(Abandoned):
        list(feed)


def test_a_reader_that_waits_hears_of_the_error() -> None:
    feed, heard = Feed(), threading.Event()

    def read(blocks: Iterator[Any]) -> None:
        try:
            next(blocks)
        except Abandoned:
            heard.set()

    reader = threading.Thread(target=read, args=(iter(feed),), daemon=True)
    reader.start()
    feed.fail(ValueError("broken"))
    assert heard.wait(5)


def test_files_of_other_kinds_are_told(folder: Path, identity: ImageModel, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("e.heic", "f.HEIC", "notes.txt", "README"):
        (folder / "in" / name).write_bytes(b"")
    run_command(options(folder), maker(torch.nn.Identity(), identity), OutputSize(1))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "passed over" in line)
    assert "2 .heic" in line
    assert "1 .txt" in line
    assert "1 without suffix" in line
