"""What can be known to be wrong with a run before data is read: used by training, --dry-run and --tune alike."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from advtasks import components
from advtasks.adversary import Adversary
from advtasks.causes import said
from advtasks.config import RunConfig
from advtasks.devices import choose_device
from advtasks.errors import UsageError, did_you_mean
from advtasks.hookspecs import TaskSpec
from advtasks.mixture import AnyAdversary
from advtasks.optimizers import make_optimizer
from advtasks.regularizers import Regularizer
from advtasks.schedule import Schedule
from advtasks.task import Splits, Task
from advtasks.training.best import chosen_metric
from advtasks.training.profiler import WARM_UP
from advtasks.training.sharding import check_shardable


def check_data(spec: TaskSpec, config: RunConfig) -> None:
    """A task that trains on a folder has one.

    Raises:
        UsageError: it has none.
    """
    if config.data is None and spec.needs_data:
        raise UsageError("--data is missing: the folder of pictures to train on")


def check_run(task: Task, config: RunConfig, ranks: int = 1) -> None:
    """What can be known to be wrong before data is read.

    Raises:
        UsageError: an unknown name, a value out of range, or options that do not fit each other.
    """
    choose_device(config.device)
    if config.steps is not None:
        raise UsageError(
            f"steps: {type(config).__name__} does not share them among its stages: its __post_init__ has to call "
            "super().__post_init__()"
        )
    check_stages(task, config)
    check_batches(config, ranks)
    metric = chosen_metric(config.keep_best, task.metrics)
    if config.early_stopping and metric is None:
        raise UsageError("--early-stopping compares a metric, and this task measures none")
    check_patience(config)
    for name in (config.optimizer, config.adversary.optimizer):
        components.arguments("optimizers", name)
    if config.profile and config.profile + WARM_UP > config.stages[0].steps:
        raise UsageError(
            f"--profile {config.profile} traces after {WARM_UP} steps, and stage {config.stages[0].name!r} has only "
            f"{config.stages[0].steps}"
        )
    if config.shard_generator:
        with torch.device("meta"):
            check_shardable(task.generator(), config)


def check_patience(config: RunConfig) -> None:
    """Early stopping has something to compare before its stage is over.

    Raises:
        UsageError: no stage has more validations within it than those that it waits for.
    """
    validations = {stage.name: (stage.steps - 1) // config.validate_every for stage in config.stages}
    if config.early_stopping and max(validations.values(), default=0) <= config.early_stopping:
        counts = ", ".join(f"{name} {count}" for name, count in validations.items())
        raise UsageError(
            f"--early-stopping {config.early_stopping} never stops a stage: before its end must come a best validation "
            f"and {config.early_stopping} worse ones, and --validate-every {config.validate_every} makes: {counts}"
        )


def check_torch(config: RunConfig) -> None:
    """That torch's optimisers take their options' values, and that it can compile where it is to. Apart from
    :func:`check_run`, since both import torch's compiler, which a process that only starts others can spare.

    Raises:
        UsageError: a value out of range, or no compiler.
    """
    for name in (config.optimizer, config.adversary.optimizer):
        make_optimizer(name, torch.nn.Linear(1, 1), 1e-4, config.betas)
    if not config.compile:
        return
    try:
        torch.compile(torch.neg)(torch.zeros(1, device=choose_device(config.device)))
    except Exception as error:  # no C++ compiler, no Triton, an old GPU: each has an error of its own
        raise UsageError(
            f"--compile: torch cannot compile here ({said(error)}): install what it misses (on a CPU a C++ compiler "
            "such as g++), or leave --compile out"
        ) from error


def check_stages(task: Task, config: RunConfig) -> None:
    """Term names are known, and there is something to train.

    Raises:
        UsageError: they are not, or there is not.
    """
    if not config.stages:
        raise UsageError("stages: there are none; choose a preset or give stages in --config FILE.yaml")
    names = [stage.name for stage in config.stages]
    if len(set(names)) != len(names):
        raise UsageError(f"stages: two have the same name ({', '.join(names)})")
    for stage in config.stages:
        for term in stage.weights:
            if term not in task.term_names:
                raise UsageError(
                    f"stage {stage.name!r}: unknown loss term {term!r}: {did_you_mean(term, task.term_names)}"
                )
        every = config.adversary.steps_per_generator_step
        if stage.adversary and every > stage.steps:  # without a critic, too: that run is compared with one that has
            raise UsageError(
                f"--adversary.steps-per-generator-step {every}: stage {stage.name!r} has only {stage.steps} steps, so "
                "its generator would never be trained"
            )
        judged = stage.adversary and config.adversary.kind != "none" and Schedule.of(config.adversary.weight)(0) != 0
        if not any(stage.weights.values()) and not judged:
            raise UsageError(
                f"stage {stage.name!r} has no loss term of a weight other than 0 at its first step: give a term a "
                "weight, or the adversary"
            )


def check_validation(config: RunConfig, splits: Splits) -> None:
    """There is something to measure where measures decide.

    Raises:
        UsageError: there is not.
    """
    flag = "--early-stopping" if config.early_stopping else "--keep-best" if config.keep_best else ""
    if flag and not splits.validation:
        raise UsageError(f"{flag}: there are no validation examples to decide by; leave it out, or give --validation")


def check_batches(config: RunConfig, ranks: int) -> None:
    """Every rank and every piece has equally many samples, so that means over them are means over the batch.

    Raises:
        UsageError: a batch does not divide.
    """
    pack = config.adversary.pack if config.adversary.kind != "none" else 1
    parts = ranks * config.accumulate * pack
    for stage in config.stages:
        batch = stage.batch or config.batch
        if batch % parts:
            pieces = f" in {config.accumulate} pieces" if config.accumulate > 1 else ""
            packs = f" of packs of {pack}" if pack > 1 else ""
            raise UsageError(
                f"stage {stage.name!r}: a batch of {batch} cannot be shared equally by {ranks} processes{pieces}"
                f"{packs}: use a multiple of {parts}"
            )


def never_computed(adversaries: Mapping[str, AnyAdversary], config: RunConfig) -> list[str]:
    """What is to be said of regularizers whose interval is longer than a stage."""
    parts = [part for each in adversaries.values() for part in each.modules() if isinstance(part, Adversary)]
    made = [item for part in parts for item in part.regularizers if isinstance(item, Regularizer)]
    lazy = {item.name: item.interval for item in made}
    return [
        f"stage {stage.name!r} has {stage.steps} steps, and {name} is computed every {interval}: never there; "
        f"give {name} a smaller interval"
        for stage in config.stages
        if stage.adversary
        for name, interval in lazy.items()
        if interval > stage.steps
    ]
