"""``advtasks report RUN...``: the report page of runs, written again from their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write RUN/report.html again, for example while the run goes on."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    from advtasks.errors import UsageError
    from advtasks.reporting.report import write_report

    runs = tyro.cli(Report, prog="advtasks report", args=argv).runs
    if not runs:
        raise UsageError("no run given: advtasks report RUN")
    for run in runs:
        print(write_report(run))
    return 0
