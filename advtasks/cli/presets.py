"""The presets of a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from advtasks.config import RunConfig
from advtasks.errors import UsageError
from advtasks.plugins import plugins, resolve


def presets_of(task: str, source: Path | None) -> Mapping[str, RunConfig]:
    """Those of a task that `source` names.

    Raises:
        UsageError: there is no such task.
    """
    try:
        found: Mapping[str, RunConfig] = resolve(plugins().find("tasks", task).spec.presets)
    except UsageError as error:
        raise UsageError(f"{source}: {error}" if source else str(error)) from None
    return found
