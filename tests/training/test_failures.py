"""What fails beside the training: memory, loader processes, trackers of packages."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from advtasks.errors import DataError, TrainingError
from advtasks.trackers import JsonLines, read_records
from advtasks.training.failures import told
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console
from advtasks.training.recorder import Recorder

Run = Callable[..., tuple[int, str, str]]
FULL = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("error", [FULL, MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")], ids=repr)
def test_full_memory_is_told_with_ways_out(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^out of memory \(.*--accumulate N.*; then start again$"), told(tmp_path):
        raise error
    (tmp_path / "run.yaml").touch()
    with pytest.raises(TrainingError, match=f"shard-generator.*--resume {tmp_path}$"), told(tmp_path):
        raise error
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/step-00000001.pt").touch()
    with pytest.raises(TrainingError, match=f"go on: advtasks train --resume {tmp_path}$") as found, told(tmp_path):
        raise error
    assert "network" not in str(found.value), "a checkpoint is of this network, and whole"


def test_other_errors_are_as_they_were(tmp_path: Path) -> None:
    for error in (RuntimeError("shapes do not fit"), DataError("a.png: broken")):
        with pytest.raises(type(error)) as found, told(tmp_path):
            raise error
        assert found.value is error


def test_a_run_that_fills_the_memory_ends_with_one_line(
    advtasks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(self: Trainer, *arguments: Any) -> None:
        raise FULL

    monkeypatch.setattr(Trainer, "_take_step", fill)
    run = tmp_path / "run"
    code, _, err = advtasks("train", "points", "--out", run, "--device", "cpu", "--steps", "4", "--samples", "50")
    assert code == 1
    assert "advtasks: out of memory" in err
    assert f"advtasks train --resume {run}" in err
    _, out, _ = advtasks("runs", tmp_path)
    assert "failed" in out
    assert "out of memory" in out


class Broken:
    """A tracker of a package, whose service is gone."""

    def __init__(self) -> None:
        self.calls = 0

    def record(self, record: dict[str, Any]) -> None:
        self.calls += 1
        raise ConnectionRefusedError("no server") if self.calls == 1 else ValueError("bad answer\nof many lines")

    def rewind(self, step: int) -> None:
        raise ValueError("bad answer")

    def close(self) -> None:
        pass


def test_a_tracker_that_fails_is_left_out(tmp_path: Path) -> None:
    broken, said = Broken(), io.StringIO()
    trackers: list[Any] = [broken, JsonLines(tmp_path)]
    recorder = Recorder(trackers, Console(said))
    for step in (1, 2, 3):
        recorder.warn(step, "stage", "text")
    assert broken.calls == 2, "what the system says may pass; its own error does not"
    assert "step 1 could not be recorded (no server)" in said.getvalue()
    assert "step 2: the tracker Broken failed (bad answer) and is left out from now on" in said.getvalue()
    assert [record["step"] for record in read_records(tmp_path / "metrics.jsonl")] == [1, 2, 3]
    again = Recorder([Broken(), *trackers], Console(said))
    again.rewind(1)
    assert [record["step"] for record in read_records(tmp_path / "metrics.jsonl")] == [1]
