"""Synthesis from noise: the task ``points``, mixtures in the plane, and the verb ``sample``. Descriptions only."""

from __future__ import annotations

from advtasks.hookspecs import Component, TaskSpec, VerbSpec, hookimpl


@hookimpl
def advtasks_tasks() -> list[TaskSpec]:
    """The task ``points``."""
    return [
        TaskSpec(
            name="points",
            summary="points in the plane from noise: shows in minutes which adversary loses modes; needs no data",
            config="advtasks_synthesis.config:PointsConfig",
            task="advtasks_synthesis.points:Points",
            presets="advtasks_synthesis.presets:PRESETS",
            needs_data=False,
        )
    ]


@hookimpl
def advtasks_verbs() -> list[VerbSpec]:
    """The verb ``sample``."""
    return [
        VerbSpec(
            name="sample",
            usage="-o OUT --seeds 0-3",
            summary="draw samples from a trained generator of the points task",
            run="advtasks_synthesis.sample_command:main",
        )
    ]


@hookimpl
def advtasks_generators() -> list[Component]:
    """Networks from noise."""
    return [
        Component(
            name="points-mlp",
            summary="fully connected, from noise (and class) to a point (Goodfellow et al. 2014)",
            build="advtasks_synthesis.generator:PointGenerator",
        )
    ]
