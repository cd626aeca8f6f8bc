"""Whether a checkpoint fits the configuration that it is resumed with: somebody may have edited run.yaml."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from advtasks.config import StageConfig
from advtasks.errors import TrainingError
from advtasks.process_group import is_loss_of_contact


@contextlib.contextmanager
def fitting(folder: Path) -> Iterator[None]:
    """While a checkpoint of `folder` is taken up.

    Raises:
        TrainingError: what it holds is not what the configuration makes.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or is_loss_of_contact(error):
            raise
        said = (str(error).strip().splitlines() or [""])[0][:200]
        raise TrainingError(
            f"{folder}: the checkpoint is not of the networks, optimisers and stages that run.yaml names "
            f"({type(error).__name__}: {said}). Was run.yaml edited, or is the run of another version? Restore it, or "
            "begin a new run, which takes weights over with --initial-weights"
        ) from error


def changed_lengths(stages: Sequence[StageConfig], lengths: Sequence[int], step: int) -> list[str]:
    """Stages that are not over and have other lengths than they began with, as sentences.

    Raises:
        TrainingError: there are more or fewer stages.
    """
    if len(stages) != len(lengths):
        raise TrainingError(
            f"the run began with {len(lengths)} stages, and run.yaml has {len(stages)}: restore it, or begin a new "
            "run, which takes weights over with --initial-weights"
        )
    found, end = [], 0
    for stage, length in zip(stages, lengths, strict=True):
        end += length
        if end > step and length != stage.steps:
            found.append(f"stage {stage.name!r} began with {length} steps and goes on so; run.yaml says {stage.steps}")
    return found
