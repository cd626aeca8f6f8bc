"""``RUN/results.json``: what is measured, the baseline, and what each finished stage reached. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from advtasks.errors import AdvtasksError, UsageError

_FIELDS = ("metrics", "baseline", "stages", "validation_pictures", "pictures")


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
        missing = [name for name in _FIELDS if name not in values]
    except (ValueError, TypeError) as error:
        missing = [str(error)]
    if missing:
        raise AdvtasksError(
            f"{path} is damaged ({', '.join(missing)}): `advtasks train --resume {run}` writes it again; move a "
            "bundle.safetensors of a finished run away before"
        )
    found: dict[str, Any] = values
    return found
