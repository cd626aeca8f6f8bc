"""The presets of a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from advtasks.causes import said
from advtasks.config import RunConfig
from advtasks.errors import UsageError
from advtasks.plugins import plugins, resolve


def presets_of(task: str, source: Path | None) -> Mapping[str, RunConfig]:
    """Those of a task that `source` names.

    Raises:
        UsageError: there is no such task, or its package cannot be imported.
    """
    try:
        provided = plugins().find("tasks", task)
    except UsageError as error:
        raise UsageError(f"{source}: {error}" if source else str(error)) from None
    try:
        found: Mapping[str, RunConfig] = resolve(provided.spec.presets)
    except Exception as error:  # whatever a foreign package does
        plugin = provided.plugin
        raise UsageError(
            f"the presets of {task} cannot be imported ({type(error).__name__}: {said(error)}): the plugin "
            f"{plugin.name} {plugin.version} is broken. {plugin.way_out}"
        ) from error
    return found
