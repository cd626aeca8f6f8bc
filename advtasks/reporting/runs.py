"""The runs of a folder: what they are, how far they got, what they reached. Imports no torch."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advtasks.config_files import read_yaml
from advtasks.errors import UsageError
from advtasks.trackers import read_records

RECENT = 120.0
"""Seconds since the last record within which an unfinished run counts as running."""


@dataclass(frozen=True)
class RunSummary:
    """One run folder."""

    folder: Path
    target: str
    """``task:preset``."""
    state: str
    """finished, running, or stopped."""
    step: int
    steps: int
    metrics: dict[str, float]
    """Of the last validation."""
    best: dict[str, float]
    """Of all validations of the last stage, by metric."""
    seconds: float
    """Of training, where it is known."""


def find_runs(folder: Path) -> list[RunSummary]:
    """All runs in a folder and below it, by name.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; runs are in ./runs unless --out said otherwise")
    return [_readable(path.parent) for path in sorted(folder.rglob("run.yaml"))]


def _readable(run: Path) -> RunSummary:
    try:
        return summary(run)
    except (UsageError, ValueError, KeyError, OSError):
        return RunSummary(run, "?", "unreadable", 0, 0, {}, {}, 0.0)


def summary(run: Path) -> RunSummary:
    """What a run's files say."""
    values = read_yaml(run / "run.yaml")
    records = read_records(run / "metrics.jsonl")
    trained = [record for record in records if record["kind"] == "train"]
    validated = [record for record in records if record["kind"] == "validation"]
    results: dict[str, Any] = {}
    if (run / "results.json").is_file():
        results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    names = [metric["name"] for metric in results.get("metrics", [])]
    last = validated[-1] if validated else {}
    if not names:
        names = [name for name in last if name not in ("kind", "step", "stage", "n", "seconds")]
    stages = results.get("stages", [])
    touched = (run / "metrics.jsonl").stat().st_mtime if (run / "metrics.jsonl").exists() else 0.0
    finished = (run / "bundle.safetensors").exists()
    return RunSummary(
        run,
        f"{values.get('task', '?')}:{values.get('preset', '?')}",
        "finished" if finished else "running" if time.time() - touched < RECENT else "stopped",
        trained[-1]["step"] if trained else 0,
        sum(stage["steps"] for stage in values.get("stages", [])),
        {name: last[name] for name in names if isinstance(last.get(name), (int, float))},
        _best(validated, results.get("metrics", [])),
        stages[-1]["seconds"] if stages else 0.0,
    )


def _best(validated: list[dict[str, Any]], metrics: list[dict[str, Any]]) -> dict[str, float]:
    """Of the last validation's stage, among those on as many examples."""
    if not validated:
        return {}
    last = validated[-1]
    alike = [record for record in validated if (record["stage"], record["n"]) == (last["stage"], last["n"])]
    found = {}
    for metric in metrics:
        values = [value for record in alike if isinstance(value := record.get(metric["name"]), (int, float))]
        if values:
            found[metric["name"]] = max(values) if metric["higher_is_better"] else min(values)
    return found
