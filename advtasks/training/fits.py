"""Whether a checkpoint fits the configuration that it is resumed with: somebody may have edited run.yaml."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from advtasks.causes import is_out_of_memory, said
from advtasks.config import RunConfig, StageConfig
from advtasks.config_files import dotted, to_plain
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
        if is_out_of_memory(error) or is_loss_of_contact(error):
            raise
        raise TrainingError(
            f"{folder}: the checkpoint is not of the networks, optimisers and stages that run.yaml names "
            f"({type(error).__name__}: {said(error)}). Was run.yaml edited, or is the run of another version? "
            "Restore it, or begin a new run, which takes weights over with --initial-weights"
        ) from error


def edited(config: RunConfig, state: Mapping[str, Any]) -> list[str]:
    """What run.yaml says otherwise than when the checkpoint with `state` was written, as sentences.

    Raises:
        TrainingError: there are more or fewer stages.
    """
    found, over = _changed_lengths(config.stages, state["lengths"], state["step"]), 0
    for end in itertools.accumulate(state["lengths"]):
        over += end <= state["step"]
    then, now = dotted(state["config"]), dotted(to_plain(config))
    for name in then.keys() | now.keys():
        before, after = then.get(name, "nothing"), now.get(name, "nothing")
        known = name in then and name in now  # else a weight, or a field of another version
        if before == after or name in _MAY_DIFFER or _STEPS.fullmatch(name) or not (known or _WEIGHT.fullmatch(name)):
            continue
        if (stage := _STAGE.match(name)) and int(stage[1]) < over:  # nothing comes of it
            continue
        since = "the next stage" if name.rpartition(".")[2] in _OF_OPTIMIZERS else "here"
        found.append(f"run.yaml was edited: {name} was {before} and is {after} from {since} on")
    return sorted(found)


_MAY_DIFFER = ("devices", "initial_weights")
"""What ``--resume`` takes itself, and what only a beginning reads."""
_OF_OPTIMIZERS = ("optimizer", "betas")
"""A stage's optimisers go on as they were saved, but for the learning rate."""
_STAGE = re.compile(r"stages\.(\d+)\.")
_STEPS = re.compile(r"stages\.\d+\.steps")
_WEIGHT = re.compile(r"stages\.\d+\.weights\..+")


def _changed_lengths(stages: Sequence[StageConfig], lengths: Sequence[int], step: int) -> list[str]:
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
