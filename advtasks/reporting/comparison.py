"""Several runs beside each other: ``advtasks report A B``."""

from __future__ import annotations

import html
import json
import math
from pathlib import Path
from typing import Any

from advtasks.bundle import BEST
from advtasks.config_files import dotted, read_yaml
from advtasks.data.listing import few
from advtasks.errors import UsageError
from advtasks.reporting.results import read_results
from advtasks.reporting.runs import summary
from advtasks.reporting.times import duration


def names_of(runs: list[Path]) -> list[str]:
    """What tells the runs apart: their folders' names, or paths where those are equal."""
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def differences(runs: list[Path]) -> list[tuple[str, list[str]]]:
    """The fields of run.yaml in which the runs differ, with the value of each."""
    flat = [{k: _text(v) for k, v in dotted(read_yaml(run / "run.yaml")).items()} for run in runs]
    names = dict.fromkeys(name for values in flat for name in values if not name.startswith("tuned"))
    names.pop("steps", None)  # older runs wrote it, and the stages say it
    rows = [(name, [values.get(name, "-") for values in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def measured(runs: list[Path]) -> list[tuple[str, list[str]]]:
    """Name of a metric with its direction, and the value of each run's last stage, or a dash before the first one's
    end; the best bears a star.

    Raises:
        UsageError: a run has no results, or they measure different things.
    """
    results = [read_results(run) for run in runs]
    protocols = [{m["name"]: m["protocol"] for m in result["metrics"]} for result in results]
    for run, protocol, result in zip(runs[1:], protocols[1:], results[1:], strict=True):
        counts = [found["validation_pictures"] for found in (results[0], result)]
        differing = [name for name in {**protocols[0], **protocol} if protocols[0].get(name) != protocol.get(name)]
        if differing or counts[0] != counts[1]:
            cause = f"on {counts[0]} and {counts[1]} examples"
            if differing:
                cause = f"{few(differing)}: missing, or by another protocol"
            raise UsageError(
                f"{runs[0]} and {run} do not measure the same ({cause}), so their numbers cannot stand side by side: "
                "`advtasks evaluate` measures several models of a task on one folder"
            )
    rows = []
    for metric in results[0]["metrics"]:
        values = [result["stages"][-1]["metrics"][metric["name"]] if result["stages"] else None for result in results]
        known = [value for value in values if value is not None and not math.isnan(value)]
        best = (max if metric["higher_is_better"] else min)(known, default=None)
        arrow = "↑" if metric["higher_is_better"] else "↓"
        cells = ["- " if value is None else f"{value:.4f}{'*' if value == best else ' '}" for value in values]
        rows.append((f"{metric['label']} {arrow}", cells))
    return rows


def kept(runs: list[Path]) -> list[tuple[str, list[str]]]:
    """The step of each run's bundle, where ``--keep-best`` took another one than the last, which is compared."""
    last, steps = [], []
    for run in runs:
        stages = read_results(run)["stages"]
        last.append(str(stages[-1]["step"]) if stages else "-")
        found = [match for path in (run / "stages").glob("*.safetensors") if (match := BEST.fullmatch(path.stem))]
        best = [int(match["step"]) for match in found if match["stage"] == stages[-1]["stage"]] if stages else []
        steps.append(str(best[0]) if best else last[-1])
    return [("bundle of step", steps)] if steps != last else []


def comparison_table(runs: list[Path]) -> str:
    """Both tables as text."""
    found = [summary(run) for run in runs]
    rows = [("", names_of(runs)), *measured(runs)]
    rows += [("steps", [str(run.step) for run in found]), ("training", [duration(run.seconds) for run in found])]
    rows += kept(runs)
    rows += [("", [""] * len(runs)), *differences(runs)]
    widths = [max(len(cells[i]) for _, cells in rows) for i in range(len(runs))]
    first = max(len(name) for name, _ in rows)
    return "\n".join(
        "  ".join([name.ljust(first), *(cell.rjust(w) for cell, w in zip(cells, widths, strict=True))]).rstrip()
        for name, cells in rows
    )


def comparison_html(runs: list[Path]) -> tuple[str, str]:
    """The table of results and that of differences."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names_of(runs))

    def cell(text: str) -> str:
        return f"<td{' class=best' if '*' in text else ''}>{html.escape(text.strip('* '))}</td>"

    def table(rows: list[tuple[str, list[str]]], starred: bool) -> str:
        body = "".join(
            f"<tr><th>{html.escape(name)}</th>"
            + "".join(cell(text) if starred else f"<td>{html.escape(text)}</td>" for text in cells)
            + "</tr>"
            for name, cells in rows
        )
        return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"

    return table([*measured(runs), *kept(runs)], starred=True), table(differences(runs), starred=False)
