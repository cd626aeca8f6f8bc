"""``advtasks runs [DIR]``: the runs of a folder with their state and metrics."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import tyro

LONGEST = 120
"""Characters of a failure's reason that a line shows; --json has all."""


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
    from advtasks.finite import finite
    from advtasks.reporting.runs import find_runs

    found = find_runs(options.folder)
    if options.json:
        rows = [{**dataclasses.asdict(run), "folder": str(run.folder)} for run in found]
        print(json.dumps(finite(rows), indent=2, allow_nan=False))
        return 0
    if not found:
        print(f"no runs in {options.folder}")
        return 0
    widths = [
        max(len(text) for text in column) for column in ([str(r.folder) for r in found], [r.target for r in found])
    ]
    for run in found:
        metrics = "  ".join(
            f"{name} {value:.4g}" + (f" (best {run.best[name]:.4g})" if run.best.get(name, value) != value else "")
            for name, value in run.metrics.items()
        )
        place = f"{run.folder!s:<{widths[0]}}  {run.target:<{widths[1]}}"
        minutes = f"{run.seconds / 60:.1f} min"
        line = f"{place}  {run.state:<8}  step {run.step}/{run.steps}  {minutes}  {metrics}  {run.reason[:LONGEST]}"
        print(line.rstrip())
    return 0
