"""Between a trainer's step and the critics: what each view's critic is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from advtasks.phase import Phase
from advtasks.task import Batch, Judged, Task, Terms
from advtasks.training.scene import Scene

Generate = Callable[[Batch], Tensor]


def shown(task: Task, batch: Batch, output: Tensor, generate: Generate) -> dict[str, Judged]:
    """What the task shows, by view; with the latent and the embedding that can be moved, for tasks that have them."""
    judged = dict(task.judged(batch, output))
    latent, embedding = task.latent, task.embedding

    def synthesize(view: str, key: str) -> Callable[[Tensor], Tensor]:
        def moved(value: Tensor) -> Tensor:
            changed = {**batch, key: value}
            return task.judged(changed, generate(changed))[view].fake

        return moved

    for view, one in judged.items():
        if latent is not None:
            one = dataclasses.replace(one, latent=batch[latent], synthesize=synthesize(view, latent))
        if embedding is not None:
            one = dataclasses.replace(one, synthesize_under=synthesize(view, embedding))
        judged[view] = one
    return judged


def laid_out(judged: dict[str, Judged], layout: torch.memory_format) -> dict[str, Judged]:
    """The same in another memory layout: a convolution follows its input's layout as well as its weight's."""

    def moved(value: Tensor) -> Tensor:
        return value.contiguous(memory_format=layout) if value.dim() == 4 else value

    def moved_all(one: Judged) -> Judged:
        condition = None if one.condition is None else moved(one.condition)
        return dataclasses.replace(one, real=moved(one.real), fake=moved(one.fake), condition=condition)

    return {view: moved_all(one) for view, one in judged.items()}


def on_view(
    view: str, phase: Phase[tuple[Judged, int]], show: Callable[[Scene], dict[str, Judged]], several: bool
) -> Phase[Scene]:
    """A critic's phase, fed with its view of the scene; its terms bear the view's name where there are several."""

    def terms(scene: Scene) -> Terms:
        found = phase.terms((show(scene)[view], scene.stage_step))
        return {f"{name}/{view}": term for name, term in found.items()} if several else found

    return dataclasses.replace(phase, name=f"{phase.name}/{view}" if several else phase.name, terms=terms)  # type: ignore[arg-type, return-value]
