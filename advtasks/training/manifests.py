"""What a run's bundles say of themselves, and that they can say it, before anything is trained."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from advtasks.bundle import Manifest
from advtasks.causes import said
from advtasks.errors import AdvtasksError, UsageError
from advtasks.plugins import plugins
from advtasks.task import Task


def manifest_of(
    name: str, task: Task, given: Mapping[str, Any], stage: str, metrics: Mapping[str, float], steps: int
) -> Manifest:
    """The manifest of a bundle of the task `name`; `given` is the task's own part of it."""
    plugin = plugins().find("generators", given["generator"]).plugin
    return Manifest(
        task=name,
        plugin=plugin.distribution,
        plugin_version=plugin.version,
        advtasks_version=version("advtasks"),
        metrics=dict(metrics),
        protocols={metric.name: metric.protocol for metric in task.metrics},
        stage=stage,
        steps=steps,
        **given,
    )


def check_manifest(name: str, task: Task, given: Mapping[str, Any]) -> None:
    """That a trained generator can be written as a bundle, and that there is a command for it.

    Raises:
        UsageError: a field of the manifest is missing, unknown or no JSON, or no plugin provides what it names.
    """
    try:
        json.dumps(dataclasses.asdict(manifest_of(name, task, given, "", {}, 0)))
        plugins().find("verbs", given["verb"])
    except AdvtasksError as error:
        raise UsageError(f"the manifest of the task {name!r}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"the manifest of the task {name!r} cannot be written into a bundle ({said(error)}): "
            f"{type(task).__name__}.manifest() gives the fields of advtasks.bundle.Manifest, of types that JSON knows"
        ) from error
