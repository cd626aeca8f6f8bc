"""Trainings as a user starts them: processes to watch, kill and resume."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

COMMAND = (sys.executable, "-m", "advtasks.cli.main", "train")


def started(*arguments: object, command: tuple[str, ...] = COMMAND) -> subprocess.Popen[str]:
    """``advtasks train ARGUMENTS``."""
    words = [*command, *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """What it said, once it has ended well."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return err


def resumed(run: Path, *flags: str) -> str:
    """What ``--resume`` said."""
    return finished(started("--resume", run, *flags))


def wait_for_checkpoint(run: Path, process: subprocess.Popen[str], least: int) -> None:
    """Of step `least` or a later one."""
    deadline = time.monotonic() + 120
    while not any(int(p.stem[5:]) >= least for p in run.glob("checkpoints/step-*.json")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_record(run: Path, *processes: subprocess.Popen[str], text: str = "{") -> None:
    """Of which `text` is a part."""
    deadline, records = time.monotonic() + 90, run / "metrics.jsonl"
    while not records.exists() or text not in records.read_text():
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """The process numbers of the ranks that a launcher started; none of a training by itself."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "--resume" in line]


def take_back(run: Path) -> None:
    """A finished run as it was when it had its last checkpoint but one."""
    newest = max(run.glob("checkpoints/step-*.json"))
    for path in (newest, newest.with_suffix(".pt"), run / "bundle.safetensors"):
        path.unlink()


def alike(bundles: list[dict[str, torch.Tensor]]) -> bool:
    """Whether all hold the weights of the first."""
    return all(torch.equal(value, other[name]) for other in bundles[1:] for name, value in bundles[0].items())


def state(run: Path) -> dict[str, Any]:
    """Of the last checkpoint."""
    return torch.load(max(run.glob("checkpoints/*.pt")), weights_only=True)
