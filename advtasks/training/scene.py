"""What passes through the training loop: a step as its phases see it, and what a stage reached."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from advtasks.task import Batch


@dataclass
class Scene:
    """One training step as its phases see it."""

    batch: Batch
    output: Tensor | None
    """The generator's output, shared by all phases; None where each phase draws its own."""
    stage_step: int


@dataclass(frozen=True)
class StageResult:
    """What a finished stage reached on all validation examples."""

    stage: str
    step: int
    metrics: dict[str, float]
    seconds: float
