"""``report.html``: one file with results, curves and pictures; opens from the file system, needs no network."""

from __future__ import annotations

import base64
import html
import io
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image

from advtasks.atomic import write_text
from advtasks.errors import UsageError
from advtasks.finite import finite
from advtasks.reporting.comparison import comparison_html, names_of
from advtasks.reporting.pictures import read_as_tensor, save_contact_sheet
from advtasks.reporting.results import read_results
from advtasks.reporting.table import counted, headings, rows, worse_than_best
from advtasks.reporting.times import times_table
from advtasks.trackers import read_records

LONGEST = 640
"""Longest side of a shown region, in pixels of the original."""
POINTS = 1000
"""Of the curves of a stage, at most, beside its last one."""


def write_report(run: Path) -> Path:
    """Write ``RUN/report.html`` from the files of the run.

    Raises:
        UsageError: not a run, or its training has not begun.
    """
    results, records = _read(run)
    best = "".join(f"<li>{html.escape(line)}</li>" for line in worse_than_best(results))
    page = _page(
        title=run.resolve().name,
        table=_table(results) + (f"<ul>{best}</ul>" if best else ""),
        warnings=_warnings(records) + times_table(records),
        results=results,
        comparisons=_comparisons([_shown_pictures(run, results)], results["baseline"]["name"]),
        runs=[("", records)],
        config=f"<details><summary>run.yaml</summary><pre>"
        f"{html.escape((run / 'run.yaml').read_text(encoding='utf-8'))}</pre></details>",
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def write_comparison(runs: list[Path], target: Path) -> None:
    """Write a page that shows several runs beside each other.

    Raises:
        UsageError: one has no results, or they measure different things.
    """
    table, differing = comparison_html(runs)
    found = [_read(run) for run in runs]
    names = names_of(runs)
    pictures = []
    for run, name, (results, _) in zip(runs, names, found, strict=True):
        last = results["stages"][-1]["stage"] if results["stages"] else None
        pictures.append(
            [
                {f"{name}: {kind}" if kind == last else kind: path for kind, path in shown.items()}
                for shown in _shown_pictures(run, {**results, "stages": results["stages"][-1:]})
            ]
        )
    write_text(
        target,
        _page(
            title=" and ".join(names),
            table=table,
            warnings="".join(
                f"<h2>{html.escape(name)}</h2>{shown}"
                for name, (_, records) in zip(names, found, strict=True)
                if (shown := times_table(records))
            ),
            results=found[0][0],
            comparisons=_comparisons(pictures, found[0][0]["baseline"]["name"]),
            runs=[(name, records) for name, (_, records) in zip(names, found, strict=True)],
            config=f"<p>Only what differs.</p>{differing}",
        ),
    )


def _read(run: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return read_results(run), read_records(run / "metrics.jsonl")


def _page(
    title: str,
    table: str,
    warnings: str,
    results: dict[str, Any],
    comparisons: str,
    runs: list[tuple[str, list[dict[str, Any]]]],
    config: str,
) -> str:
    data = {
        "runs": [{"name": name, "records": thinned(records)} for name, records in runs],
        "metrics": results["metrics"],
        "baseline": finite(results["baseline"]),
    }
    return Template(files("advtasks.reporting").joinpath("report.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        table=table,
        warnings=warnings,
        protocol=_protocols(results["metrics"]),
        examples=counted(results),
        comparisons=comparisons,
        data=_in_script(data),
        config=config,
    )


def thinned(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a stage's training records some :data:`POINTS` at even distances, with the last one; all others. A run of
    weeks has more than a browser can draw; ``metrics.jsonl`` keeps them."""
    counts = Counter(record["stage"] for record in records if record["kind"] == "train")
    seen: Counter[str] = Counter()
    kept = []
    for record in records:
        if record["kind"] == "train":
            stage = record["stage"]
            number, seen[stage] = seen[stage], seen[stage] + 1
            if number % -(-counts[stage] // POINTS) and seen[stage] < counts[stage]:
                continue
        kept.append(record)
    return kept


def _in_script(values: Any) -> str:
    """JSON within a page's script, which nothing in it may end."""
    return json.dumps(values).replace("<", "\\u003c")


def _warnings(records: list[dict[str, Any]]) -> str:
    """What the monitor said."""
    said = [f"<li>Step {r['step']}: {html.escape(r['text'])}</li>" for r in records if r["kind"] == "warning"]
    return f"<h2>What the monitor saw</h2><ul>{''.join(said)}</ul>" if said else ""


def _protocols(metrics: list[dict[str, Any]]) -> str:
    return "".join(f"<li><b>{html.escape(m['label'])}</b>: {html.escape(m['protocol'])}</li>" for m in metrics)


def _table(results: dict[str, Any]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in ["", *headings(results)])
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(f"<td{' class=best' if '*' in cell else ''}>{cell.strip('* ')}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows(results)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown_pictures(run: Path, results: dict[str, Any]) -> list[dict[str, Path]]:
    """For each shown example its picture files by name, in the order to show them."""
    outputs = [results["baseline"]["name"], *(stage["stage"] for stage in results["stages"])]
    order = [name for kind in results["pictures"] for name in (outputs if kind == "output" else [kind]) if name]
    found = []
    for folder in sorted((run / "pictures").glob("*")):
        found.append({name: path for name in order if (path := folder / f"{name}.png").is_file()})
    return [pictures for pictures in found if pictures]


def write_sheet(run: Path, target: Path) -> None:
    """The centre of each example by each method, as one picture."""
    results = read_results(run)
    examples = [
        {name: read_as_tensor(path) for name, path in pictures.items()} for pictures in _shown_pictures(run, results)
    ]
    if not examples:
        raise UsageError(f"--sheet: {run} has no pictures yet")
    save_contact_sheet(target, examples)


def _comparisons(runs: list[list[dict[str, Path]]], baseline: str | None) -> str:
    """For each shown example the same region of every picture of every run, for the slider; at first the baseline
    beside the last stage, or both runs."""
    blocks = []
    for examples in zip(*runs, strict=False):
        files_by_name = {name: path for pictures in examples for name, path in pictures.items()}
        sizes = []
        for path in files_by_name.values():
            with Image.open(path) as image:
                sizes.append(image.size)
        full = max(sizes)
        share = (min(1.0, LONGEST / full[0]), min(1.0, LONGEST / full[1]))
        size = (round(full[0] * share[0]), round(full[1] * share[1]))
        pictures = [{"name": name, "src": _embedded(path, share, size)} for name, path in files_by_name.items()]
        own = [place for place, name in enumerate(files_by_name) if ": " in name] or [
            list(files_by_name).index(baseline) if baseline in files_by_name else 0,
            len(pictures) - 2,
        ]
        blocks.append(
            f'<div class="compare" data-left="{own[0]}" data-right="{own[-1]}" '
            f'data-width="{size[0]}" data-height="{size[1]}">'
            f'<script type="application/json">{_in_script(pictures)}</script></div>'
        )
    return "\n".join(blocks)


def _embedded(path: Path, share: tuple[float, float], size: tuple[int, int]) -> str:
    """The centre of a picture as a data URI, at the size of the original's region (pixels repeated, not smoothed)."""
    with Image.open(path) as image:
        width, height = round(image.width * share[0]), round(image.height * share[1])
        left, top = (image.width - width) // 2, (image.height - height) // 2
        region = image.convert("RGB").crop((left, top, left + width, top + height))
        if region.size != size:
            region = region.resize(size, Image.Resampling.NEAREST)
        buffer = io.BytesIO()
        region.save(buffer, format="WEBP", quality=92, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
