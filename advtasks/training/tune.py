"""``--tune``: some real steps of each precision, layout and compilation on this machine, and the fastest that agrees
with float32. The winner differs by network and machine, so it is measured, not guessed."""

from __future__ import annotations

import dataclasses
import gc
import io
import itertools
import math
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from advtasks.causes import is_out_of_memory, said
from advtasks.config import RunConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.data.loader import batches
from advtasks.devices import FIRST_SCALE, choose_device, computes_bf16, threads_of, wait_for
from advtasks.errors import AdvtasksError, UsageError
from advtasks.regularizers import PathLength
from advtasks.task import Batch, Splits, Task
from advtasks.training.adversaries import make_adversaries
from advtasks.training.clock import Clock
from advtasks.training.guard import Guard
from advtasks.training.meters import SKIPPED, Meters
from advtasks.training.monitor import WATCHED
from advtasks.training.networks import Networks
from advtasks.training.progress import Console
from advtasks.training.recorder import Recorder
from advtasks.training.rehearsal import rehearse
from advtasks.training.step import Step

WARM_UP, TIMED = 2, 5
"""Steps of each stage before the clock runs, and at least so many under it, in whole periods."""
LONGEST = 32
"""Steps of a period at most: that in which each phase of a stage comes as often as its interval says."""
TOLERANCE = 0.05
"""How far each loss term may be from that of float32 when it is first computed, relative to the larger of them and 0.1.
Later steps say nothing: training amplifies the smallest difference."""
GRADIENTS = 0.25
"""The same for the norm of each phase's gradients, which dropout alone moves by some hundredths: its draws follow the
layout in memory. A backward pass that is wrong moves it by a factor."""


@dataclass
class Choice:
    """One way to run a step, and what was measured."""

    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool
    compile: bool
    critic_channels_last: bool | None = None
    """None: as the generator."""
    seconds: dict[str, float] = field(default_factory=dict)
    """A step's mean over a period, by stage; the median of periods."""
    compiling: float = 0.0
    """Seconds that the first steps took longer."""
    whole: float = float("inf")
    """Of the whole training, at these steps, and of compiling."""
    apart: float = 0.0
    """The largest difference of a loss term from float32's."""
    gradients_apart: float = 0.0
    """And of a norm of gradients."""
    failure: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it may be chosen."""
        return not self.failure and self.apart <= TOLERANCE and self.gradients_apart <= GRADIENTS


def tune(
    make_task: Callable[[RunConfig], Task], config: RunConfig, cache: PictureCache, say: Callable[[str], None]
) -> tuple[RunConfig, list[Choice]]:
    """The configuration with the fastest choice, and all that were measured. Prints a line for each.

    Compilation is tried with the fastest layouts of each precision alone, since it takes up to a minute.

    Raises:
        UsageError: none of them can train.
    """
    device = choose_device(config.device)
    task = make_task(config)
    splits = task.splits(cache)
    for text in rehearse(task, task.generator(), make_adversaries(task, config), splits.train, config.stages):
        say(f"warning: {text}")
    precisions: list[Any] = ["fp32"] + ["bf16"] * computes_bf16(device) + ["fp16"] * (device.type == "cuda")
    judged = config.adversary.kind != "none" and any(stage.adversary for stage in config.stages)
    plain = [
        Choice(precision, layout, False, None if same else not layout)
        for precision, same, layout in itertools.product(
            precisions, (True, False) if judged else (True,), (False, True)
        )
    ]
    say(f"tuning: {WARM_UP} steps of each stage, and at least {TIMED} under the clock")
    reference: dict[str, dict[str, float]] = {}
    found = list(plain)
    with _threads_of_a_process(config.devices):
        for choice in plain:
            _measure(make_task, config, splits, choice, reference, say)
        for precision in precisions:
            best = _fastest([choice for choice in plain if choice.precision == precision])
            if best is not None:
                compiled = dataclasses.replace(best, compile=True, seconds={}, whole=float("inf"), apart=0.0)
                _measure(make_task, config, splits, compiled, reference, say)
                found.append(compiled)
    best = _fastest(found)
    if best is None:
        raise UsageError(f"--tune: nothing can train here ({found[0].failure}): use a smaller --batch or --accumulate")
    say(f"chosen: {_described(best)}")
    return _with(config, best), found


@contextmanager
def _threads_of_a_process(processes: int) -> Iterator[None]:
    """While entered torch computes with as many threads as each of several processes will."""
    before = torch.get_num_threads()
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads_of(processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fastest(choices: list[Choice]) -> Choice | None:
    return min((choice for choice in choices if choice.agrees), key=lambda choice: choice.whole, default=None)


def _with(config: RunConfig, choice: Choice) -> RunConfig:
    changes: dict[str, Any] = {"channels_last": choice.channels_last, "compile": choice.compile}
    changes["critic_channels_last"] = choice.critic_channels_last
    return dataclasses.replace(config, precision=choice.precision, **changes)


def _measure(
    make_task: Callable[[RunConfig], Task],
    config: RunConfig,
    splits: Splits,
    choice: Choice,
    reference: dict[str, dict[str, float]],
    say: Callable[[str], None],
) -> None:
    """Fill in `choice`; the first one that fits into memory fills in the reference."""
    first = not reference
    try:
        for stage in config.stages:
            seconds, compiling, terms = _steps(make_task, _with(config, choice), splits, stage)
            choice.seconds[stage.name] = seconds
            choice.compiling += compiling if choice.compile else 0.0
            losses, gradients = _apart(terms, reference.setdefault(stage.name, terms))
            choice.apart, choice.gradients_apart = max(choice.apart, losses), max(choice.gradients_apart, gradients)
        choice.whole = choice.compiling + sum(stage.steps * choice.seconds[stage.name] for stage in config.stages)
    except AdvtasksError:
        raise
    except Exception as error:  # an operation without that precision, a compiler that is not there, no memory
        if first and not is_out_of_memory(error):
            raise
        choice.failure = "out of memory" if is_out_of_memory(error) else said(error, 80)
        if first:
            reference.clear()  # of the stages before the one that failed
    if choice.compile:
        torch._dynamo.reset()  # else the run finds its limit of compilations used up
    _give_back(choose_device(config.device))
    times = "  ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in choice.seconds.items())
    agreement = f"losses within {choice.apart:.2%} of fp32, gradients {choice.gradients_apart:.1%}"
    compiled = f"compiled in {choice.compiling:.0f} s, " if choice.compile else ""
    verdict = choice.failure or (compiled + agreement + ("" if choice.agrees else ": too far"))
    say(f"  {_described(choice):<32}  {times}  {verdict}")


def _apart(terms: dict[str, float], known: dict[str, float]) -> tuple[float, float]:
    """The largest difference of a loss term, and of a norm of gradients."""
    found = {True: 0.0, False: 0.0}
    for name, value in terms.items():
        of_gradients = name.startswith("gradient-norm/")
        if not math.isfinite(value):
            found[of_gradients] = math.inf
        elif name in known:
            difference = abs(value - known[name]) / max(abs(known[name]), abs(value), 0.1)
            found[of_gradients] = max(found[of_gradients], difference)
    return found[False], found[True]


def _described(choice: Choice) -> str:
    def layout(channels_last: bool) -> str:
        return "channels-last" if channels_last else "contiguous"

    other = choice.critic_channels_last
    critic = "" if other is None else f", critic {layout(other)}"
    return f"{choice.precision} {layout(choice.channels_last)}{critic}{' compiled' if choice.compile else ''}"


def _period(step: Step) -> int:
    """Steps in which every phase comes as often as its interval says, and lazy terms of the generator do."""
    between = step.generator_phase.interval
    parts = [part for adversary in step.adversaries.values() for part in adversary.modules()]
    lazy = [part.every * between for part in parts if isinstance(part, PathLength)]
    return min(math.lcm(*(phase.interval for phase in step.phases), *lazy), LONGEST)


def _steps(
    make_task: Callable[[RunConfig], Task], config: RunConfig, splits: Splits, stage: StageConfig
) -> tuple[float, float, dict[str, float]]:
    """Seconds of a step, a mean over whole periods; how much longer those before the clock runs took; and each loss
    term and the norm of each phase's gradients when they are first computed. The networks are fresh. Nothing is known
    of float16's gradients, whose first steps a loss scaler may skip."""
    task = make_task(config)
    networks = Networks(task, config, make_adversaries(task, config))
    meters = Meters()
    step = Step(networks, config, stage, meters, Clock(networks.device))
    if networks.precision != "fp16":
        each_step = dataclasses.replace(config, monitor="warn", log_every=1)
        step.guard = Guard(each_step, Recorder([], Console(io.StringIO())))
    cuda = networks.device.type == "cuda"
    stream = batches(
        splits.train, batch=(stage.batch or config.batch) // config.devices, seed=config.seed, pin_memory=cuda
    )
    period = _period(step)
    start = max(period, WARM_UP)
    # each phase is due once before the clock runs, as late as may be
    due = [max((n for n in range(start) if phase.due(n)), default=phase.interval - 1) for phase in step.phases]
    warm = sorted({*range(start - WARM_UP, start), *due})
    numbers = [*warm, *range(start, start + period * math.ceil(TIMED / period))]
    taken: list[float] = []
    terms: dict[str, float] = {}
    with closing(stream):
        for number in numbers:
            if number == start:
                step.guard = None  # off the clock
            taken.append(_seconds(step, stream, number, networks.device))
            for name, value in meters.means().items():
                if not name.startswith(("logit/", "accuracy/", WATCHED)):
                    terms.setdefault(name, value)
            meters.clear()
        _until_scaled(step, stream, numbers)
    before = len(warm)
    periods = [statistics.mean(taken[at : at + period]) for at in range(before, len(taken), period)]
    seconds = statistics.median(periods)
    return seconds, max(sum(taken[:before]) - before * seconds, 0.0), terms


def _until_scaled(step: Step, stream: Iterator[Batch], done: Sequence[int]) -> None:
    """Go on, off the clock, while all updates that one of float16's loss scalers has seen were skipped.

    Raises:
        ArithmeticError: that does not end.
    """
    seen = Counter(id(phase.scaler) for phase in step.phases for number in done if phase.due(number))
    scalers = {id(item): item for item in step.scalers.values()}
    number = done[-1] + 1
    while stuck := [key for key, item in scalers.items() if item.get_scale() == FIRST_SCALE * 0.5 ** seen[key]]:
        if any(seen[key] >= SKIPPED for key in stuck):
            raise ArithmeticError("gradients are not finite in any step")
        step.run(next(stream), number, number)
        seen.update(id(phase.scaler) for phase in step.phases if phase.due(number))
        number += 1


def _seconds(step: Step, stream: Iterator[Batch], number: int, device: torch.device) -> float:
    host_batch = next(stream)
    wait_for(device)
    start = time.perf_counter()
    step.run(host_batch, number, number)
    wait_for(device)
    return time.perf_counter() - start


def _give_back(device: torch.device) -> None:
    """The memory of a choice, whose step and phases refer to each other: the next one needs it, and so does the run."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
