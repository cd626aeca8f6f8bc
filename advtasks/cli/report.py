"""``advtasks report RUN...``: the report page of runs, written again from their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write RUN/report.html again, for example while the run goes on."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    sheet: Path | None = None
    """Also write a comparison of all methods as one picture (JPEG); for a single run."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Report, prog="advtasks report", args=argv)
    if not options.runs:
        raise UsageError("no run given: advtasks report RUN")
    if options.sheet is not None and len(options.runs) != 1:
        raise UsageError("--sheet compares the methods of one run: give a single RUN")

    from advtasks.reporting.report import write_report, write_sheet

    for run in options.runs:
        print(write_report(run))
    if options.sheet is not None:
        write_sheet(options.runs[0], options.sheet)
        print(options.sheet)
    return 0
