"""Between a trainer's step and the critics: what each view's critic is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor

from advtasks.phase import Phase
from advtasks.task import Batch, Judged, Task, Terms
from advtasks.training.scene import Scene

Generate = Callable[[Batch], Tensor]


def shown(task: Task, batch: Batch, output: Tensor, generate: Generate) -> dict[str, Judged]:
    """What the task shows, by view; with the latent and a way to move it, for tasks that have one."""
    judged = task.judged(batch, output)
    key = task.latent
    if key is None:
        return judged

    def synthesize(view: str) -> Callable[[Tensor], Tensor]:
        def from_latent(latent: Tensor) -> Tensor:
            moved = {**batch, key: latent}
            return task.judged(moved, generate(moved))[view].fake

        return from_latent

    return {
        view: dataclasses.replace(one, latent=batch[key], synthesize=synthesize(view)) for view, one in judged.items()
    }


def on_view(
    view: str, phase: Phase[tuple[Judged, int]], show: Callable[[Scene], dict[str, Judged]], several: bool
) -> Phase[Scene]:
    """A critic's phase, fed with its view of the scene; its terms bear the view's name where there are several."""

    def terms(scene: Scene) -> Terms:
        found = phase.terms((show(scene)[view], scene.stage_step))
        return {f"{name}/{view}": term for name, term in found.items()} if several else found

    return dataclasses.replace(phase, name=f"{phase.name}/{view}" if several else phase.name, terms=terms)  # type: ignore[arg-type, return-value]
