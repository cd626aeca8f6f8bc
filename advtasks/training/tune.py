"""``--tune``: a few real steps of each precision, layout and compilation on this machine, and the fastest that agrees
with float32. The winner differs by network and machine, so it is measured, not guessed."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from advtasks.config import RunConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.data.loader import batches
from advtasks.devices import choose_device, computes_bf16
from advtasks.errors import AdvtasksError
from advtasks.task import Batch, Splits, Task
from advtasks.training.adversaries import make_adversaries
from advtasks.training.clock import Clock
from advtasks.training.meters import Meters
from advtasks.training.networks import Networks
from advtasks.training.step import Step

WARM_UP, TIMED = 2, 5
"""Steps of each stage before the clock runs, and under it."""
TOLERANCE = 0.05
"""How far the loss terms of the first step may be from those of float32, relative to the larger of them and 0.1. Later
steps say nothing: training amplifies the smallest difference."""


@dataclass
class Choice:
    """One way to run a step, and what was measured."""

    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool
    compile: bool
    seconds: dict[str, float] = field(default_factory=dict)
    """A step's median, by stage."""
    whole: float = float("inf")
    """Of the whole training, at these steps."""
    apart: float = 0.0
    """The largest difference of a loss term from float32's."""
    failure: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it may be chosen."""
        return not self.failure and self.apart <= TOLERANCE


def tune(
    make_task: Callable[[RunConfig], Task], config: RunConfig, cache: PictureCache, say: Callable[[str], None]
) -> tuple[RunConfig, list[Choice]]:
    """The configuration with the fastest choice, and all that were measured. Prints a line for each.

    Compilation is tried with the fastest precision and layout alone, since it takes up to a minute.
    """
    device = choose_device(config.device)
    splits = make_task(config).splits(cache)
    precisions: list[Any] = ["fp32"] + ["bf16"] * computes_bf16(device) + ["fp16"] * (device.type == "cuda")
    plain = [Choice(p, layout, False) for p, layout in itertools.product(precisions, (False, True))]
    say(f"tuning: {WARM_UP} + {TIMED} steps of each stage")
    reference: dict[str, dict[str, float]] = {}
    for choice in plain:
        _measure(make_task, config, splits, choice, reference, say)
    best = min((c for c in plain if c.agrees), key=lambda c: c.whole)
    compiled = dataclasses.replace(best, compile=True, seconds={}, whole=float("inf"), apart=0.0)
    _measure(make_task, config, splits, compiled, reference, say)
    found = [*plain, compiled]
    best = min((c for c in found if c.agrees), key=lambda c: c.whole)
    say(f"chosen: {_described(best)}")
    return _with(config, best), found


def _with(config: RunConfig, choice: Choice) -> RunConfig:
    changes: dict[str, Any] = {"channels_last": choice.channels_last, "compile": choice.compile}
    return dataclasses.replace(config, precision=choice.precision, **changes)


def _measure(
    make_task: Callable[[RunConfig], Task],
    config: RunConfig,
    splits: Splits,
    choice: Choice,
    reference: dict[str, dict[str, float]],
    say: Callable[[str], None],
) -> None:
    """Fill in `choice`; the first one fills in the reference."""
    first = not reference
    try:
        for stage in config.stages:
            seconds, terms = _steps(make_task, _with(config, choice), splits, stage)
            choice.seconds[stage.name] = seconds
            known = reference.setdefault(stage.name, terms)
            apart = [abs(value - known[name]) / max(abs(known[name]), abs(value), 0.1) for name, value in terms.items()]
            choice.apart = max([choice.apart, *apart])
        choice.whole = sum(stage.steps * choice.seconds[stage.name] for stage in config.stages)
    except AdvtasksError:
        raise
    except Exception as error:  # an operation without that precision, a compiler that is not there
        if first:
            raise
        choice.failure = (str(error).strip().splitlines() or [type(error).__name__])[0][:80]
    times = "  ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in choice.seconds.items())
    verdict = choice.failure or (f"losses within {choice.apart:.2%} of fp32" + ("" if choice.agrees else ": too far"))
    say(f"  {_described(choice):<32}{times}  {verdict}")


def _described(choice: Choice) -> str:
    layout = "channels-last" if choice.channels_last else "contiguous"
    return f"{choice.precision} {layout}{' compiled' if choice.compile else ''}"


def _steps(
    make_task: Callable[[RunConfig], Task], config: RunConfig, splits: Splits, stage: StageConfig
) -> tuple[float, dict[str, float]]:
    """Median seconds of a step, and the loss terms of the first. The networks are fresh."""
    task = make_task(config)
    networks = Networks(task, config, make_adversaries(task, config))
    meters = Meters()
    step = Step(networks, config, stage, meters, Clock(networks.device))
    stream = batches(splits.train, batch=stage.batch or config.batch, seed=config.seed)
    taken = []
    with closing(stream):
        for number in range(WARM_UP + TIMED):
            host_batch: Batch = next(stream)
            _finish(networks.device)
            start = time.perf_counter()
            step.run(host_batch, number, number)
            _finish(networks.device)
            taken.append(time.perf_counter() - start)
            if number == 0:
                terms = {
                    name: value
                    for name, value in meters.means().items()
                    if not name.startswith(("logit/", "accuracy/"))
                }
    return statistics.median(taken[WARM_UP:]), terms


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
