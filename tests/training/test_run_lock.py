"""One process trains into a run folder; the lock ends with it, and says how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from advtasks.errors import Interrupted, TrainingError, UsageError
from advtasks.run_lock import RunLock, read_lock
from advtasks.trackers import JsonLines
from advtasks.training.loop import Trainer

HOLD = """
import os, sys, time
from pathlib import Path
from advtasks.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
if os.fork() == 0:  # as a loader's process does
    time.sleep(20)
    os._exit(0)
print("held", flush=True)
time.sleep(20)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run.yaml").touch()
    return tmp_path


def test_a_second_process_is_refused_until_the_first_is_killed(run: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, run], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=rf"is being trained by process {process.pid} on "):
            RunLock(run)
        assert read_lock(run).running  # type: ignore[union-attr]
        process.kill()
        process.wait()
        found = read_lock(run)
        assert found is not None
        assert (found.running, found.end, found.pid) == (False, "", process.pid), "its child does not hold it"
        with RunLock(run):
            assert read_lock(run).pid == os.getpid()  # type: ignore[union-attr]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize(
    ("error", "end"),
    [(None, "finished"), (Interrupted("SIGINT"), "stopped"), (TrainingError("no\nmore"), "failed: no")],
)
def test_it_says_how_the_run_ended(run: Path, error: Exception | None, end: str) -> None:
    try:
        with RunLock(run):
            if error is not None:
                raise error
    except (Interrupted, TrainingError):
        pass
    found = read_lock(run)
    assert found is not None
    assert (found.running, found.end) == (False, end)


def test_nothing_is_left_where_no_run_began(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    assert read_lock(tmp_path) is None


def test_training_takes_it(advtasks: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ("--steps", "4", "--batch", "32", "--device", "cpu", "--samples", "50")
    assert advtasks("train", "points", "--out", run, *flags)[0] == 0
    assert read_lock(run).end == "finished"  # type: ignore[union-attr]
    (run / "bundle.safetensors").unlink()
    with RunLock(run):
        code, _, err = advtasks("train", "--resume", run)
    assert code == 2
    assert f"{run} is being trained by process {os.getpid()} on" in err


def test_a_signal_on_the_way_out_does_not_change_what_it_says(
    advtasks: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher ends the ranks that are left about when they notice themselves that one is lost."""

    def lost(*arguments: object) -> None:
        raise TrainingError("lost another process")

    monkeypatch.setattr(Trainer, "_take_step", lost)
    monkeypatch.setattr(JsonLines, "close", lambda self: signal.raise_signal(signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    run = tmp_path / "run"
    code, _, err = advtasks("train", "points", "--out", run, "--steps", "4", "--device", "cpu", "--samples", "50")
    assert (code, "lost another process" in err) == (1, True)
    assert read_lock(run).end == "failed: lost another process"  # type: ignore[union-attr]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_first_step_a_signal_stops_at_once_and_nothing_is_left(
    advtasks: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("advtasks.training.run.rehearse", lambda *arguments: signal.raise_signal(number))
    run = tmp_path / "run"
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that a failure of this test kills nobody
    try:
        code, _, err = advtasks("train", "points", "--out", run, "--steps", "4", "--device", "cpu", "--samples", "50")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (code, err.strip().splitlines()[-1]) == (130, "advtasks: interrupted")
    assert not run.exists()
