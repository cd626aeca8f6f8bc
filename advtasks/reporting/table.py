"""The result table of a run, as text."""

from __future__ import annotations

import math
from typing import Any


def rows(results: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Name and formatted metrics of the baseline and each stage; the best value of a column bears a star."""
    named = []
    if results["baseline"]["metrics"]:
        named.append((results["baseline"]["name"], results["baseline"]["metrics"]))
    named += [(stage["stage"], stage["metrics"]) for stage in results["stages"]]
    table: list[tuple[str, list[str]]] = [(name, []) for name, _ in named]
    for metric in results["metrics"]:
        values = [metrics[metric["name"]] for _, metrics in named]
        known = [value for value in values if not math.isnan(value)]
        best = (max if metric["higher_is_better"] else min)(known, default=None)
        for (_, cells), value in zip(table, values, strict=True):
            cells.append(f"{value:.4f}" + ("*" if value == best else " "))
    return table


def headings(results: dict[str, Any]) -> list[str]:
    """Column headings with unit and direction."""
    return [
        f"{m['label']}{' (' + m['unit'] + ')' if m['unit'] else ''} {'↑' if m['higher_is_better'] else '↓'}"
        for m in results["metrics"]
    ]


def counted(results: dict[str, Any], example: str = "validation picture") -> str:
    """What the means are over; `example` in the singular."""
    number = results["validation_pictures"]
    return f"{number} {example}{'s' * (number != 1)}"


def result_table(results: dict[str, Any], example: str = "validation picture") -> str:
    """The table, aligned, with what its means are over below it; see :func:`counted`."""
    heads = ["", *headings(results)]
    body = [[name, *cells] for name, cells in rows(results)]
    widths = [max(len(row[i]) for row in [heads, *body]) for i in range(len(heads))]
    lines = []
    for first, *cells in [heads, *body]:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *aligned]))
    lines.insert(1, "─" * len(lines[0]))
    lines.append(f"mean over {counted(results, example)}; * best")
    return "\n".join(lines)


def worse_than_best(results: dict[str, Any]) -> list[str]:
    """A sentence for each stage and metric whose last validation was worse than the stage's best."""
    labels = {metric["name"]: metric for metric in results["metrics"]}
    lines = []
    for stage in results["stages"]:
        for name, found in stage.get("best", {}).items():
            metric = labels[name]
            worse = found["last"] < found["best"] if metric["higher_is_better"] else found["last"] > found["best"]
            if worse:
                lines.append(
                    f"{stage['stage']}: {metric['label']} was best at step {found['step']} with {found['best']:.4g}; "
                    f"the last is {found['last']:.4g}"
                    + (f" (last / best {found['ratio']:.3f})" if found["ratio"] else "")
                )
    return lines
