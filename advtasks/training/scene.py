"""What passes through the training loop: a step as its phases see it, and what a stage reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from advtasks.task import Batch, Judged


@dataclass
class Scene:
    """One training step as its phases see it."""

    batch: Batch
    output: Tensor | None
    """The generator's output, shared by all phases; None where each phase draws its own."""
    stage_step: int
    step: int = 0
    """Of the run."""
    judged: dict[str, Judged] | None = None
    """What the critics see of :attr:`output`, by view, once a phase has asked."""


@dataclass(frozen=True)
class StageResult:
    """What a finished stage reached on all validation examples."""

    stage: str
    step: int
    metrics: dict[str, float]
    seconds: float
    """Of training so far, validation and checkpoints not counted."""
    best: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """By metric: ``last``, ``best``, its ``step``, and last / best as ``ratio``, all on the same examples."""
