"""``advtasks runs [DIR]``: the runs of a folder with their state and metrics."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from advtasks.finite import finite
from advtasks.reporting.runs import RunSummary, find_runs
from advtasks.reporting.times import duration


@dataclass(frozen=True, kw_only=True)
class Runs:
    """List runs: what they train, how far they are, what the last validation measured."""

    folder: tyro.conf.Positional[Path] = Path("runs")
    """Looked through with its sub-folders."""
    json: bool = False
    """Print JSON."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Runs, prog="advtasks runs", args=argv)
    found = find_runs(options.folder)
    if options.json:
        everything = [{**dataclasses.asdict(run), "folder": str(run.folder)} for run in found]
        print(json.dumps(finite(everything), indent=2, allow_nan=False))
        return 0
    if not found:
        print(f"no runs in {options.folder}")
        return 0
    rows = [_cells(run) for run in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for run, (*texts, took, metrics) in zip(found, rows, strict=True):
        aligned = [text.ljust(width) for text, width in zip(texts, widths, strict=False)]
        print("  ".join([*aligned, took.rjust(widths[-2]), metrics]).rstrip())
        if run.reason:
            print(f"    {run.reason}")
    return 0


def _cells(run: RunSummary) -> list[str]:
    metrics = "  ".join(
        f"{run.labels.get(name, name)} {value:.4g}"
        + (f" (best {run.best[name]:.4g})" if run.best.get(name, value) != value else "")
        for name, value in run.metrics.items()
    )
    return [str(run.folder), run.target, run.state, f"step {run.step}/{run.steps}", duration(run.seconds), metrics]
