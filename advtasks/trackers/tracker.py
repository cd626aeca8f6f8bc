"""The shape of a tracker, and the one that is always there."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any, Protocol

from advtasks.atomic import write_text


class Tracker(Protocol):
    """Takes records: ``{"kind": "train", "step": 20, "stage": "pixel", "l1": 0.04, ...}``."""

    def record(self, values: dict[str, Any]) -> None:
        """Keep one record."""

    def rewind(self, step: int) -> None:
        """Forget what was recorded after `step`: a run goes on from there."""

    def close(self) -> None:
        """Flush and close."""


class JsonLines:
    """``metrics.jsonl``: a JSON object a line, written at once. Numbers that are not finite are written as null."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"

    def record(self, values: dict[str, Any]) -> None:
        """Append a line."""
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")

    def rewind(self, step: int) -> None:
        """Keep the records up to `step`; a line that a kill cut off goes, too."""
        kept = [record for record in read_records(self.path) if record["step"] <= step]
        write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))

    def close(self) -> None:
        """Nothing: every record is closed when it is written."""


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a ``metrics.jsonl``; lines that are none, such as a last one that a kill cut off, are passed
    over."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            record = json.loads(line)
            if isinstance(record, dict) and "kind" in record and isinstance(record.get("step"), int):
                records.append(record)
    return records
