"""The runs of a folder: what they are, how far they got, what they reached. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advtasks.causes import said
from advtasks.config_files import read_yaml
from advtasks.errors import AdvtasksError, UsageError
from advtasks.reporting.results import read_results
from advtasks.reporting.times import stage_times
from advtasks.run_lock import read_lock
from advtasks.trackers import read_records


@dataclass(frozen=True)
class RunSummary:
    """One run folder."""

    folder: Path
    target: str
    """``task:preset``."""
    state: str
    """finished, running, stopped, failed, or unreadable."""
    step: int
    steps: int
    """Of all stages; one that ended early counts as long as it was."""
    metrics: dict[str, float]
    """Of the last validation."""
    best: dict[str, float]
    """Of all validations of the last stage, by metric."""
    labels: dict[str, str]
    """What people call the metrics."""
    seconds: float
    """Of training, validation and checkpoints not counted."""
    reason: str = ""
    """Why it failed, or cannot be read."""


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
    except (AdvtasksError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        return RunSummary(run, "?", "unreadable", 0, 0, {}, {}, {}, 0.0, said(error, 1000))


def summary(run: Path) -> RunSummary:
    """What a run's files say."""
    values = read_yaml(run / "run.yaml")
    records = read_records(run / "metrics.jsonl")
    trained = [record for record in records if record["kind"] == "train"]
    validated = [record for record in records if record["kind"] == "validation"]
    results: dict[str, Any] = {}
    if (run / "results.json").is_file():
        results = read_results(run)
    names = [metric["name"] for metric in results.get("metrics", [])]
    last = validated[-1] if validated else {}
    if not names:
        names = [name for name in last if name not in ("kind", "step", "stage", "n", "seconds")]
    ended, lengths = results.get("stages", []), [stage["steps"] for stage in values.get("stages", [])]
    state, reason = _state(run)
    return RunSummary(
        run,
        f"{values.get('task', '?')}:{values.get('preset', '?')}",
        state,
        trained[-1]["step"] if trained else 0,
        (ended[-1]["step"] if ended else 0) + sum(lengths[len(ended) :]),
        {name: last[name] for name in names if isinstance(last.get(name), (int, float))},
        _best(validated, results.get("metrics", [])),
        {metric["name"]: metric["label"] for metric in results.get("metrics", [])},
        sum(stage.step * stage.steps for stage in stage_times(records)),
        reason,
    )


def _state(run: Path) -> tuple[str, str]:
    """What its lock says: whether a process holds it, else how the last one ended."""
    holder = read_lock(run)
    if holder is not None and holder.running:
        return "running", ""
    if (run / "bundle.safetensors").exists():
        return "finished", ""
    end, _, reason = (holder.end if holder is not None else "").partition(": ")
    return ("failed", reason) if end == "failed" else ("stopped", "")


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
