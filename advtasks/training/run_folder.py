"""A run's folder: run.yaml, metrics.jsonl, previews/, checkpoints/, stages/, bundle.safetensors, report.html."""

from __future__ import annotations

import contextlib
import itertools
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advtasks.atomic import create_text
from advtasks.config import RunConfig
from advtasks.config_files import read_yaml, to_plain, to_yaml
from advtasks.errors import TrainingError, UsageError
from advtasks.trackers import read_records

_PACKAGES = ("advtasks", "torch", "albumentations", "kornia", "numpy", "pillow")


def reserve(folder: Path | None, task: str, preset: str) -> Path:
    """Make the folder of a new run; without one, ``runs/TASK-PRESET-N`` with the smallest N that is free.

    Raises:
        UsageError: the folder already holds a run or other files.
    """
    if folder is None:
        for number in itertools.count(1):
            with contextlib.suppress(FileExistsError):  # another run may take it at the same moment
                path = Path("runs") / f"{task}-{preset}-{number}"
                path.mkdir(parents=True)
                return path
    assert folder is not None, "count never ends"
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_nothing_lost(folder: Path, checkpoint_every: int) -> None:
    """A run without a checkpoint has come no further than to its first one; it begins anew.

    Raises:
        TrainingError: its record goes on behind that, so that checkpoints have been removed.
    """
    records = read_records(folder / "metrics.jsonl")
    last = max((record["step"] for record in records if record["kind"] == "train"), default=0)
    if last > checkpoint_every:
        raise TrainingError(
            f"{folder / 'checkpoints'}: no checkpoint is there, and the run came to step {last}: bring them back; "
            f"where none was ever written (a full disk), remove {folder / 'metrics.jsonl'} to begin anew; or start a "
            "new run with another --out"
        )


def check_free(folder: Path) -> None:
    """A new run may be made there.

    Raises:
        UsageError: the folder already holds a run or other files.
    """
    if (folder / "run.yaml").exists():
        raise _taken(folder)
    if folder.exists() and (not folder.is_dir() or any(path.name != ".lock" for path in folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty: choose another --out")


def _taken(folder: Path) -> UsageError:
    return UsageError(f"{folder} holds a run: go on with `advtasks train --resume {folder}`, or choose another --out")


def described(task: str, preset: str, config: RunConfig, **about: Any) -> dict[str, Any]:
    """What a run.yaml holds. ``steps`` is no part of it: the stages say how long they are."""
    fields = {name: value for name, value in to_plain(config).items() if name != "steps"}
    return {"task": task, "preset": preset, **about, **fields}


def create(folder: Path, task: str, preset: str, config: RunConfig, tuned: Sequence[Any] = ()) -> None:
    """Write ``run.yaml``: everything that is needed to repeat or resume the run, and what ``--tune`` measured.

    Raises:
        UsageError: another process has begun a run there meanwhile.
    """
    versions = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    values = described(task, preset, config, versions=versions, **({"tuned": list(tuned)} if tuned else {}))
    path = folder / "run.yaml"
    try:
        create_text(path, to_yaml(values))  # of two that begin at the same moment one is first
    except FileExistsError:
        raise _taken(folder) from None


def read(folder: Path) -> tuple[str, str, dict[str, Any]]:
    """Task, preset and configuration values of a run.

    Raises:
        UsageError: not a run folder.
    """
    if not (folder / "run.yaml").is_file():
        raise UsageError(f"{folder}: not a run folder (no run.yaml)")
    return split_header(read_yaml(folder / "run.yaml"))


def split_header(values: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Take task and preset off the values of a run.yaml; its versions and tuning are for people."""
    rest = {key: value for key, value in values.items() if key not in ("task", "preset", "versions", "tuned")}
    return str(values.get("task", "")), str(values.get("preset", "")), rest
