"""The training loop: stages run over batches. Read it top to bottom, then ``step.py``.

Everything random is a function of (seed, step, phase), and data is a function of (seed, step), so a checkpoint of
weights and optimisers resumes bit for bit on a CPU. With several ranks each runs this loop on its rows of every batch;
files are written by the first.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from typing import Any

from torch import nn

from advtasks.config import RunConfig, StageConfig
from advtasks.config_files import to_plain
from advtasks.data.loader import batches
from advtasks.distributed import rank, world_size
from advtasks.errors import Diverged, Interrupted, TrainingError
from advtasks.evaluation.runner import Evaluation, evaluate
from advtasks.mixture import AnyAdversary
from advtasks.process_group import Agreement, from_first, gathered
from advtasks.task import Batch, Splits, Task
from advtasks.trackers import Tracker
from advtasks.training.best import Best, chosen_metric, first_examples
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.clock import Clock, peak_memory
from advtasks.training.consistency import check_ranks_agree
from advtasks.training.fits import edited, fitting
from advtasks.training.guard import ROLL_BACKS, Guard
from advtasks.training.interrupt import Interrupt
from advtasks.training.meters import Meters, first_bad_parameter, not_finite
from advtasks.training.networks import Networks
from advtasks.training.pace import Pace
from advtasks.training.profiler import TRACE, WARM_UP, profiler
from advtasks.training.progress import Console
from advtasks.training.recorder import Recorder
from advtasks.training.scene import StageResult
from advtasks.training.sharding import load_shards, save_shards, whole
from advtasks.training.step import Step
from advtasks.training.stopwatch import Stopwatch

SHOWN = 4
"""Validation examples whose pictures are kept, for previews and the report."""

_KEPT = ("step", "lengths", "seconds_aside", "seconds_validating", "roll_backs", "rate_scale", "rolled_to")


class Trainer:
    """Trains a task as its configuration says.

    Args:
        task: moved to the device.
        splits: its data.
        adversaries: one for each view; none trains the plain task.
        trackers, console: take a record every ``log_every`` steps and for each validation; tell the user.
        on_validation: called with what was measured, and whether it is the stage's best so far.
        on_stage_end: called with the last validation of a stage.
    """

    def __init__(
        self,
        task: Task,
        config: RunConfig,
        splits: Splits,
        adversaries: dict[str, AnyAdversary],
        checkpoints: Checkpoints,
        trackers: list[Tracker],
        console: Console,
        on_validation: Callable[[int, Evaluation, bool], None] = lambda step, result, best: None,
        on_stage_end: Callable[[StageConfig, Evaluation], None] = lambda stage, result: None,
    ) -> None:
        self.config, self.splits = config, splits
        self.checkpoints, self.console, self.recorder = checkpoints, console, Recorder(trackers, console)
        self.on_validation, self.on_stage_end = on_validation, on_stage_end
        self.best = Best(task.metrics, chosen_metric(config.keep_best, task.metrics))
        self.networks = Networks(task, config, adversaries)
        self.step, self.seconds, self.seconds_aside, self.seconds_validating = 0, 0.0, 0.0, 0.0
        self.watch, self.pace = Stopwatch(), Pace(config, console.say)
        self.lengths = [stage.steps for stage in config.stages]
        self.results: list[StageResult] = []
        self.meters, self.guard = Meters(), Guard(config, self.recorder)
        self.clock, self.agreement = Clock(self.networks.device), Agreement()
        self.rate_scale, self.roll_backs, self.rolled_to = 1.0, 0, -1
        self._pending: dict[str, Any] = {}

    # --- the run -------------------------------------------------------------------------------------------------

    def train(self, interrupt: Interrupt | None = None) -> None:
        """Run all stages, from wherever :meth:`resume` left off; `interrupt`, if somebody has entered one already.

        Raises:
            TrainingError: a loss or weight is not finite.
            Interrupted: the user asked to stop; a checkpoint has been written.
        """
        with nullcontext(interrupt) if interrupt else Interrupt() as asked, asked.deferred():
            while (place := self.config.stage_at(self.step, self.lengths)) is not None:
                try:
                    self._run_stage(*place, asked)
                except Diverged as error:
                    self._roll_back(error)

    def _run_stage(self, number: int, stage: StageConfig, start: int, interrupt: Interrupt) -> None:
        self.stage_step = Step(self.networks, self.config, stage, self.meters, self.clock, self.guard, self._not_finite)
        if self.results or self.roll_backs:
            gc.collect()  # the optimisers of the stage before, whose phases refer to each other
        if self.step > start:
            with fitting(self.checkpoints.folder):
                self.stage_step.load(self._pending)
                if self.networks.sharded:
                    optimizer = self.stage_step.optimizers["generator"]
                    load_shards(self.checkpoints.shards(self.step), self._shared(), optimizer)
        else:
            self.guard.monitor.restart()
            self.best.restart()
        self._pending = {}
        batch = stage.batch or self.config.batch
        stream = batches(
            self.splits.train,
            batch=batch,
            seed=self.config.seed + 1000 * number,  # each stage has a stream of its own
            first_batch=self.step - start,
            workers=self.config.workers,
            pin_memory=self.networks.device.type == "cuda",
            part=(rank(), world_size()),
        )
        watch, logged_at = Stopwatch(), self.step
        self.watch = watch
        with closing(stream), self._traced(number, start) as traced:
            while self.step < start + self.lengths[number]:
                self._take_step(stream, start)
                traced.step()
                self.step += 1
                with watch.paused() as pause:
                    self._validate_now_and_then(number, stage, start)
                self.seconds_aside += pause.seconds
                finished = self.step == start + self.lengths[number]
                if self.step % self.config.log_every == 0 or finished:
                    self._log(stage, (self.step - start, self.lengths[number]), self.step - logged_at, watch.lap())
                    logged_at = self.step
                with watch.paused() as pause:
                    self._end_or_save(stage, finished, interrupt)
                self.seconds_aside += pause.seconds

    def _take_step(self, stream: Iterator[Batch], start: int) -> None:
        with self.clock.measure("data", on_device=False):
            host_batch = next(stream)
        self.stage_step.run(host_batch, self.step, self.step - start, self.rate_scale)

    def _traced(self, number: int, start: int) -> AbstractContextManager[Any]:
        folder, wanted = self.checkpoints.folder.parent / "profile", self.config.profile
        if number > 0 or rank() > 0 or (folder / TRACE).exists():  # a resumed run has it already
            wanted = 0
        if wanted and self.step + WARM_UP + wanted > start + self.lengths[number]:
            self.console.say("no profile: too few steps are left in the first stage")
            wanted = 0
        return profiler(wanted, folder, self.networks.device.type == "cuda")

    def _validate_now_and_then(self, number: int, stage: StageConfig, start: int) -> None:
        """Validation at its interval, unless it would take too much of the time. It may end the stage early."""
        if self.step % self.config.validate_every or self.step == start + self.lengths[number]:
            return
        examples, trained = self.splits.validation[: self.config.validation_pictures], self._trained()
        if not from_first(lambda: self.pace.allows(len(examples), trained), patient=False):
            return
        self._validate(stage, examples)
        if self.config.early_stopping and self.best.without >= self.config.early_stopping:
            self.lengths[number] = self.step - start
            self.console.say(f"step {self.step}  {stage.name} ends early: {self._not_better()}")

    def _end_or_save(self, stage: StageConfig, finished: bool, interrupt: Interrupt) -> None:
        """A stage's last validation; checkpoints at their interval, at the end of a stage and when asked to stop."""
        if finished:
            result = self._validate(stage, self.splits.validation)
            self.results.append(StageResult(stage.name, self.step, result.means, self.seconds, self.best.summary()))
            self.on_stage_end(stage, result)
        requested = self.agreement.any_raised(bool(interrupt.requested))
        if self.step % self.config.checkpoint_every == 0 or finished or requested:
            self.save(required=requested)
        if requested:
            raise Interrupted(interrupt.requested.name if interrupt.requested else "SIGTERM")

    def _not_better(self) -> str:
        name = str(self.best.chosen)
        value, step = self.best.values.get(name, (math.nan, self.step))
        return f"{self.best.without} validations without a better {name} than {value:.4g} at step {step}"

    def _not_finite(self, term: str) -> Diverged:
        return not_finite(term, self.step, self.networks.named(), self.checkpoints.describe_latest())

    def _log(self, stage: StageConfig, place: tuple[int, int], steps: int, seconds: float) -> None:
        memory = max(gathered(peak_memory(self.networks.device), patient=False))  # before a GPU is waited for
        means = self.meters.means()
        self.meters.clear()
        for name, value in means.items():
            if not math.isfinite(value) and not self.meters.skips(name):
                raise self._not_finite(name)
        if phase := self.stage_step.spoiled():
            raise self._not_finite(f"(gradients of the phase {phase})")
        self.seconds += seconds
        batch = stage.batch or self.config.batch
        rates = {f"learning_rate/{n}": o.param_groups[0]["lr"] for n, o in self.stage_step.optimizers.items()}
        times = {f"seconds/{name}": spent / steps for name, spent in (*self.clock.take().items(), ("step", seconds))}
        values = {**means, **rates, **times, "memory_gib": memory}
        self.recorder.train(self.step, stage, place, values, steps / seconds, batch)
        self.guard.look(self.step, stage, means)

    def _validate(self, stage: StageConfig, examples: Sequence[Any]) -> Evaluation:
        """Measure the moving average of the generator."""
        watch, trained = self.watch.settled(self.networks.device), self._trained()
        network = self.networks.ema.network  # asked for before it is whole
        with self.clock.measure("eval", on_device=False), whole(network):
            result = evaluate(self.networks.task, network, examples, keep_pictures=SHOWN)
        best = self.best.note(self.step, first_examples(result, self.config.validation_pictures))
        self.guard.look_at_critics(self.step, stage, self.networks.adversaries)
        self.guard.look_at_validation(self.step, stage, self.best)
        seconds = watch.lap()
        self.seconds_validating += seconds
        self.pace.note(len(examples), seconds, trained)
        self.recorder.validation(self.step, stage.name, result, self.networks.task.metrics, len(examples), seconds)
        self.on_validation(self.step, result, best)
        return result

    def _trained(self) -> float:
        """Seconds of training until now."""
        return self.seconds + self.watch.so_far()

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that a bit-identical resume needs."""
        self.meters.settle()
        networks = self.networks
        return {
            **{name: getattr(self, name) for name in _KEPT},
            "data": self.splits.fingerprint,
            "seconds": self._trained(),
            "seconds_aside": self.seconds_aside + self.watch.pausing(),
            "seconds_pace": self.pace.state(),
            "config": to_plain(self.config),
            "generator": networks.generator.state_dict(),
            "ema": networks.ema.network.state_dict(),
            "adversaries": {view: adversary.state_dict() for view, adversary in networks.adversaries.items()},
            "stage": self.stage_step.state(),
            "results": [vars(result) for result in self.results],
            "best": self.best.state(),
            "meters": self.meters.state(),
            "monitor": self.guard.monitor.state(),
        }

    def save(self, required: bool = False) -> None:
        """Write a checkpoint. If the disk is full the old ones stay and training goes on, unless `required`.

        Raises:
            TrainingError: a weight is not finite, the ranks' weights differ, or the checkpoint was required and could
                not be written.
        """
        gathered(None, patient=False)  # a rank that hangs is missed here: a GPU would wait for it without an end
        for bad in filter(None, gathered(first_bad_parameter(self.networks.named()), patient=False)):
            raise self._not_finite(f"(weights of {bad})")
        if not self.config.sync_batch_norm:
            self.networks.average_statistics()
        state = self.state()
        check_ranks_agree(state, self.step)
        try:
            if self.networks.sharded:
                del state["generator"], state["ema"], state["stage"]["optimizers"]["generator"]
                optimizer = self.stage_step.optimizers["generator"]
                save_shards(self.checkpoints.shards(self.step), self._shared(), optimizer)
            if rank() == 0:
                self.checkpoints.save(self.step, state)
        except OSError as error:
            text = f"step {self.step}: {error}. {self.checkpoints.describe_latest()}"
            if required:
                raise TrainingError(text) from error
            self.console.say(f"warning: {text} Training goes on; free some space.")

    def resume(self) -> bool:
        """Load the newest checkpoint that is whole. False if there is none: the run starts from its beginning."""
        state = self._latest()
        if state is not None:
            if state["data"] != self.splits.fingerprint:
                self.console.say("warning: the data changed since the run began; it goes on, but not bit for bit")
            with fitting(self.checkpoints.folder):
                self._load(state)
            for text in edited(self.config, state):
                self.console.say(f"warning: {text}")
        self.recorder.rewind(self.step)
        return state is not None

    def _latest(self) -> dict[str, Any] | None:
        """The newest whole checkpoint, the same on all ranks, before any of them goes on.

        Raises:
            TrainingError: the ranks see different ones.
        """
        state = self.checkpoints.latest(self.console.say)
        seen = gathered(None if state is None else state["step"], patient=False)
        if len(set(seen)) > 1:
            text = f"the ranks see checkpoints of different steps ({seen}): all hosts must see the same run folder"
            raise TrainingError(f"{self.checkpoints.folder}: {text}")
        return state

    def _shared(self) -> dict[str, nn.Module]:
        return {"generator": self.networks.generator, "ema": self.networks.ema.network}

    def _load(self, state: dict[str, Any]) -> None:
        networks = self.networks
        for name in _KEPT:
            setattr(self, name, state[name])
        self.seconds = state["seconds"]
        self.pace.load(state["seconds_pace"])
        if networks.sharded:
            load_shards(self.checkpoints.shards(self.step), self._shared())
        else:
            networks.generator.load_state_dict(state["generator"])
            networks.ema.network.load_state_dict(state["ema"])
        for view, adversary in networks.adversaries.items():
            adversary.load_state_dict(state["adversaries"][view])
        self._pending = state["stage"]
        self.results = [StageResult(**result) for result in state["results"]]
        self.best.load(state["best"])
        self.meters.load(state["meters"], networks.device)
        self.guard.monitor.load(state["monitor"])

    def _roll_back(self, error: Diverged) -> None:
        """Go on from the newest good checkpoint at half the learning rates, where the run allows it.

        Raises:
            Diverged: it does not, it did so too often, or there is no checkpoint.
        """
        failed, done, state = self.step, self.roll_backs, None
        if self.config.monitor == "rollback" and done < ROLL_BACKS:
            from_first(lambda: self.checkpoints.forget(self.rolled_to), patient=False)
            state = self._latest()
        if state is None:
            raise error
        self._load(state)
        self.roll_backs, self.rate_scale, self.rolled_to = done + 1, 0.5 ** (done + 1), self.step
        self.clock.take()  # of the steps that are forgotten
        kept = {**state, **{name: getattr(self, name) for name in ("roll_backs", "rate_scale", "rolled_to")}}
        if rank() == 0:
            with suppress(OSError):  # a kill must not bring the old rates back
                self.checkpoints.save(self.step, kept)
        self.recorder.rewind(self.step)
        text = f"step {failed} diverged ({error}). Rolled back to step {self.step} ({done + 1} of {ROLL_BACKS} times)"
        self.recorder.warn(self.step, "", f"{text}; learning rates times {self.rate_scale:g}")
