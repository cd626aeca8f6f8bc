"""``RUN/results.json``: what is measured, the baseline, and what each finished stage reached. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from advtasks.atomic import write_text
from advtasks.errors import AdvtasksError, UsageError
from advtasks.finite import finite

_FIELDS = ("metrics", "baseline", "stages", "validation_pictures", "pictures")


def write_results(run: Path, values: dict[str, Any]) -> None:
    """Write them. JSON knows no infinity and no NaN: these are texts."""
    write_text(run / "results.json", json.dumps(finite(values, str), indent=2, allow_nan=False) + "\n")


def read_results(run: Path) -> dict[str, Any]:
    """What the file says; ``stages`` is empty until the first one ends.

    Raises:
        UsageError: there is none.
        AdvtasksError: it is damaged.
    """
    path = run / "results.json"
    if not path.is_file():
        raise UsageError(f"{run}: no results.json: not a run, or one whose training has not begun")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        wrong = [f"{name} is missing" for name in _FIELDS if name not in values] or _restored(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        wrong = [str(error)]
    if wrong:
        raise AdvtasksError(
            f"{path} is damaged ({', '.join(wrong)}): `advtasks train --resume {run}` writes it again; move a "
            "bundle.safetensors of a finished run away before"
        )
    found: dict[str, Any] = values
    return found


def _restored(values: dict[str, Any]) -> list[str]:
    """Turn texts into the numbers that they spell, in place; gives what is missing."""
    wrong = []
    names = {metric["name"] for metric in values["metrics"]}
    measured = [(stage["stage"], stage["metrics"], stage.get("best", {})) for stage in values["stages"]]
    if values["baseline"]["metrics"]:
        measured.append(("baseline", values["baseline"]["metrics"], {}))
    for name, metrics, best in measured:
        wrong += [f"{name} has no {metric}" for metric in sorted(names - metrics.keys())]
        metrics.update({metric: float(value) for metric, value in metrics.items()})
        for found in best.values():
            found.update({key: float(found[key]) for key in ("last", "best")})
    return wrong
