"""``advtasks report RUN``: the report page of a run, written again from its files; ``advtasks report A B`` compares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write RUN/report.html again, for example while the run goes on; with several runs also compare them: results,
    differing options, curves and pictures, in the terminal and as one page."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    sheet: Path | None = None
    """Also write a comparison of all methods as one picture (JPEG); for a single run."""
    out: Path = Path("comparison.html")
    """The page that compares several runs."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Report, prog="advtasks report", args=argv)
    if not options.runs:
        raise UsageError("no run given: advtasks report RUN")
    if options.sheet is not None and len(options.runs) != 1:
        raise UsageError("--sheet compares the methods of one run: give a single RUN")

    from advtasks.reporting.comparison import comparison_table
    from advtasks.reporting.report import write_comparison, write_report, write_sheet

    for run in options.runs:
        print(write_report(run))
    if len(options.runs) > 1:
        print(f"\n{comparison_table(list(options.runs))}\n")
        write_comparison(list(options.runs), options.out)
        print(options.out)
    if options.sheet is not None:
        write_sheet(options.runs[0], options.sheet)
        print(options.sheet)
    return 0
