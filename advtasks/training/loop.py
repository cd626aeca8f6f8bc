"""The training loop: stages, each a list of phases, run over batches. Read it top to bottom.

A step takes one batch. Each phase that is due computes its loss terms, goes backward and steps its optimiser; then the
moving average follows. Everything random is a function of (seed, step, phase), and data is a function of (seed,
step), so a checkpoint of weights and optimisers resumes bit for bit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from advtasks.config import RunConfig, StageConfig
from advtasks.data.loader import batches
from advtasks.devices import autocast, choose_device, choose_precision
from advtasks.errors import Diverged, TrainingError
from advtasks.evaluation.runner import Evaluation, evaluate
from advtasks.mixture import AnyAdversary
from advtasks.phase import Phase, make_adam
from advtasks.task import Batch, Judged, Splits, Task, Terms
from advtasks.trackers import Tracker
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.ema import MovingAverage
from advtasks.training.guard import ROLL_BACKS, Guard
from advtasks.training.interrupt import Interrupt, Interrupted
from advtasks.training.meters import Meters, first_bad_parameter, not_finite
from advtasks.training.progress import Console
from advtasks.training.randomness import seed_draws
from advtasks.training.recorder import Recorder
from advtasks.training.scene import Scene, StageResult
from advtasks.training.schedules import factor
from advtasks.training.stopwatch import Stopwatch
from advtasks.training.views import on_view, shown

SHOWN = 4
"""Validation examples whose pictures are kept, for previews and the report."""


class Trainer:
    """Trains a task as its configuration says.

    Args:
        task: moved to the device.
        splits: its data.
        adversaries: one for each view; none trains the plain task.
        trackers, console: take a record every ``log_every`` steps and for each validation; tell the user.
        on_validation, on_stage_end: called with what was measured.
    """

    def __init__(
        self,
        task: Task,
        config: RunConfig,
        splits: Splits,
        adversaries: dict[str, AnyAdversary],
        checkpoints: Checkpoints,
        trackers: Sequence[Tracker],
        console: Console,
        on_validation: Callable[[int, Evaluation], None] = lambda step, result: None,
        on_stage_end: Callable[[StageConfig, Evaluation, Trainer], None] = lambda stage, result, trainer: None,
    ) -> None:
        self.config, self.splits = config, splits
        self.checkpoints, self.console, self.recorder = checkpoints, console, Recorder(trackers, console)
        self.on_validation, self.on_stage_end = on_validation, on_stage_end
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.autocast = autocast(self.device, self.precision)
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format

        self.task = self._placed(task)
        seed_draws(config.seed, 0, "generator")
        self.generator = self._placed(task.generator())
        self.trained = torch.compile(self.generator) if config.compile else self.generator
        self.ema = MovingAverage(self.generator, config.ema_half_life)
        self.adversaries = adversaries
        for adversary in self.adversaries.values():
            self._placed(adversary).set_precision(self.autocast)
        self.step, self.seconds = 0, 0.0
        self.results: list[StageResult] = []
        self.meters, self.guard = Meters(), Guard(config, self.recorder)
        self.rate_scale, self.roll_backs, self._rolled_to = 1.0, 0, -1
        self._pending_optimizers: dict[str, Any] = {}
        self._pending_images = 0

    def _placed(self, module: Any) -> Any:
        return module.to(self.device, memory_format=self.layout)

    # --- the run -------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Run all stages, from wherever :meth:`resume` left off.

        Raises:
            TrainingError: a loss or weight is not finite.
            Interrupted: the user asked to stop; a checkpoint has been written.
        """
        with Interrupt() as interrupt:
            while (place := self.config.stage_at(self.step)) is not None:
                try:
                    self._run_stage(*place, interrupt)
                except Diverged as error:
                    self._roll_back(error)

    def _run_stage(self, number: int, stage: StageConfig, start: int, interrupt: Interrupt) -> None:
        self._begin_stage(stage)
        if self.step > start:
            self._load_optimizers()
        else:
            self.guard.monitor.restart()
        batch = stage.batch or self.config.batch
        stream = batches(
            self.splits.train,
            batch=batch,
            seed=self.config.seed + 1000 * number,  # each stage has a stream of its own
            first_batch=self.step - start,
            workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
        )
        watch, logged_at = Stopwatch(), self.step
        with closing(stream):
            while self.step < start + stage.steps:
                self._training_step(next(stream), stage, self.step - start)
                self.step += 1
                finished = self.step == start + stage.steps
                if self.step % self.config.log_every == 0 or finished:
                    self._log(stage, start, batch * (self.step - logged_at), watch.lap())
                    logged_at = self.step
                with watch.paused():
                    self._now_and_then(stage, finished, interrupt)

    def _now_and_then(self, stage: StageConfig, finished: bool, interrupt: Interrupt) -> None:
        """Validation and checkpoints, each at its interval and at the end of a stage."""
        if finished:
            result = self._validate(stage, self.splits.validation)
            self.results.append(StageResult(stage.name, self.step, result.means, self.seconds))
            self.on_stage_end(stage, result, self)
        elif self.step % self.config.validate_every == 0:
            self._validate(stage, self.splits.validation[: self.config.validation_pictures])
        if self.step % self.config.checkpoint_every == 0 or finished or interrupt.requested:
            self.save(required=bool(interrupt.requested))
        if interrupt.requested:
            raise Interrupted(interrupt.requested.name)

    def _begin_stage(self, stage: StageConfig) -> None:
        """Fresh optimisers, phases and moving-average ramp."""
        adversaries = self.adversaries if stage.adversary else {}
        optimizer = make_adam(self.generator, stage.learning_rate, self.config.betas)
        self.optimizers: dict[str, Optimizer] = {"generator": optimizer}
        self.phases: list[Phase[Scene]] = []
        for view, adversary in adversaries.items():
            for phase in adversary.phases():
                self.phases.append(on_view(view, phase, self._show, len(adversaries) > 1))
                name = f"discriminator/{view}" if len(adversaries) > 1 else "discriminator"
                self.optimizers[name] = phase.optimizer
        self.base_rates = {name: item.param_groups[0]["lr"] for name, item in self.optimizers.items()}
        every = self.config.adversary.steps_per_generator_step if stage.adversary else 1
        self.generator_phase: Phase[Scene] = Phase(
            name="generator",
            optimizer=optimizer,
            terms=lambda scene: self._generator_terms(scene, stage, adversaries),
            interval=every,
        )
        self.phases.append(self.generator_phase)
        self.ema.restart()
        self.generator.train()
        self.task.train()

    def _show(self, scene: Scene, grad: bool = False) -> dict[str, Judged]:
        """What the critics see of a scene, by view."""
        return shown(self.task, scene.batch, self._output(scene, grad), self._synthesize)

    # --- one step ------------------------------------------------------------------------------------------------

    def _training_step(self, host_batch: Batch, stage: StageConfig, stage_step: int) -> None:
        moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in host_batch.items()}
        seed_draws(self.config.seed, self.step, "batch")
        prepared = self.task.prepare(moved).items()
        batch = {k: t.contiguous(memory_format=self.layout) if t.dim() == 4 else t for k, t in prepared}
        scene = Scene(batch, None, stage_step)
        if self.task.shares_fake:
            seed_draws(self.config.seed, self.step, "output")
            scene.output = self._output(scene, grad=self.generator_phase.due(stage_step))
        rate = factor(stage.schedule, stage_step, stage.steps)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.base_rates[name] * rate * self.rate_scale
        for phase in self.phases:
            if phase.due(stage_step):
                seed_draws(self.config.seed, self.step, phase.name)
                self.meters.add(phase.run(scene, self._check))
        if self.generator_phase.due(stage_step):
            images = next(iter(batch.values())).shape[0]
            self.ema.update(self.generator, images, rate if self.config.ema_follows_rate else 1.0)

    def _output(self, scene: Scene, grad: bool) -> Tensor:
        if scene.output is not None:
            return scene.output
        with torch.set_grad_enabled(grad):
            return self._generate(scene.batch)

    def _synthesize(self, batch: Batch) -> Tensor:
        """For regularizers that move the noise: the plain network in float32, which can be differentiated twice."""
        with torch.autocast(self.device.type, enabled=False):
            return self.task.generate(self.generator, batch)

    def _generate(self, batch: Batch) -> Tensor:
        with self.autocast():
            return self.task.generate(self.trained, batch)

    def _generator_terms(self, scene: Scene, stage: StageConfig, adversaries: dict[str, AnyAdversary]) -> Terms:
        output = self._output(scene, grad=True)
        with self.autocast():
            terms = self.task.objective(scene.batch, output, stage.weights)
        if adversaries:
            judged = shown(self.task, scene.batch, output, self._synthesize)
            for view, adversary in adversaries.items():
                found = adversary.generator_terms(judged[view], scene.stage_step)
                ending = f"/{view}" if len(adversaries) > 1 else ""
                if self.guard.watching(self.step):
                    found.update(self.guard.variety(judged[view]))
                terms.update({f"{name}{ending}": term for name, term in found.items()})
        return terms

    def _check(self, phase: Phase[Scene], terms: Terms) -> None:
        """Stop before a step on values that are not finite. On a GPU reading them would wait for it: see _log."""
        if self.device.type == "cpu":
            for name, term in terms.items():
                if not math.isfinite(term.value.detach().item()):
                    raise self._not_finite(name)
        if self.guard.watching(self.step):
            self.meters.add(self.guard.gradients(phase))

    def _not_finite(self, term: str) -> Diverged:
        networks: dict[str, nn.Module] = {"generator": self.generator, **self.adversaries}
        return not_finite(term, self.step, networks, self.checkpoints.describe_latest())

    def _log(self, stage: StageConfig, start: int, images: int, seconds: float) -> None:
        means = self.meters.means()
        self.meters.clear()
        for name, value in means.items():
            if not math.isfinite(value):
                raise self._not_finite(name)
        self.seconds += seconds
        rates = {f"learning_rate/{n}": o.param_groups[0]["lr"] for n, o in self.optimizers.items()}
        batch = stage.batch or self.config.batch
        self.recorder.train(self.step, stage, self.step - start, {**means, **rates}, images / seconds, batch)
        self.guard.look(self.step, stage, means)

    def _validate(self, stage: StageConfig, examples: Sequence[Any]) -> Evaluation:
        """Measure the moving average of the generator."""
        result = evaluate(self.task, self.ema.network, examples, keep_pictures=SHOWN)
        self.guard.look_at_critics(self.step, stage, self.adversaries)
        self.recorder.validation(self.step, stage.name, result, self.task.metrics, len(examples))
        self.on_validation(self.step, result)
        return result

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that a bit-identical resume needs."""
        return {
            "step": self.step,
            "data": self.splits.fingerprint,
            "seconds": self.seconds,
            "generator": self.generator.state_dict(),
            "ema": self.ema.network.state_dict(),
            "ema_images": self.ema.images,
            "adversaries": {view: adversary.state_dict() for view, adversary in self.adversaries.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "results": [vars(result) for result in self.results],
            "meters": {"sums": self.meters.sums, "counts": self.meters.counts},
            "monitor": self.guard.monitor.state(),
            "roll_backs": self.roll_backs,
            "rate_scale": self.rate_scale,
        }

    def save(self, required: bool = False) -> None:
        """Write a checkpoint. If the disk is full the old ones stay and training goes on, unless `required`.

        Raises:
            TrainingError: a weight is not finite, or the checkpoint was required and could not be written.
        """
        bad = first_bad_parameter({"generator": self.generator, **self.adversaries})
        if bad is not None:
            raise self._not_finite(f"(weights of {bad})")
        try:
            self.checkpoints.save(self.step, self.state())
        except OSError as error:
            text = f"step {self.step}: {error}. {self.checkpoints.describe_latest()}"
            if required:
                raise TrainingError(text) from error
            self.console.say(f"warning: {text} Training goes on; free some space.")

    def resume(self) -> bool:
        """Load the newest checkpoint that is whole. False if there is none: the run starts from its beginning."""
        state = self.checkpoints.latest(self.console.say)
        if state is not None:
            if state["data"] != self.splits.fingerprint:
                self.console.say("warning: the data changed since the run began; it goes on, but not bit for bit")
            self._load(state)
        self.recorder.rewind(self.step)
        return state is not None

    def _load(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.generator.load_state_dict(state["generator"])
        self.ema.network.load_state_dict(state["ema"])
        self._pending_images = state["ema_images"]
        for view, adversary in self.adversaries.items():
            adversary.load_state_dict(state["adversaries"][view])
        self._pending_optimizers = state["optimizers"]
        self.results = [StageResult(**result) for result in state["results"]]
        self.meters.sums = {name: value.to(self.device) for name, value in state["meters"]["sums"].items()}
        self.meters.counts = state["meters"]["counts"]
        self.guard.monitor.load(state["monitor"])
        self.roll_backs, self.rate_scale = state["roll_backs"], state["rate_scale"]

    def _roll_back(self, error: Diverged) -> None:
        """Go on from the newest good checkpoint at half the learning rates, where the run allows it.

        Raises:
            Diverged: it does not, it did so too often, or there is no checkpoint.
        """
        failed, done, state = self.step, self.roll_backs, None
        if self.config.monitor == "rollback" and done < ROLL_BACKS:
            state = self.checkpoints.to_roll_back_to(self._rolled_to, self.console.say)
        if state is None:
            raise error
        self._load(state)
        self.roll_backs, self.rate_scale, self._rolled_to = done + 1, 0.5 ** (done + 1), self.step
        kept = {**state, "roll_backs": self.roll_backs, "rate_scale": self.rate_scale}
        with contextlib.suppress(OSError):  # a kill must not bring the old rates back
            self.checkpoints.save(self.step, kept)
        self.recorder.rewind(self.step)
        text = f"step {failed} diverged ({error}). Rolled back to step {self.step} ({done + 1} of {ROLL_BACKS} times)"
        self.recorder.warn(self.step, "", f"{text}; learning rates times {self.rate_scale:g}")

    def _load_optimizers(self) -> None:
        """Within a stage, go on with the checkpoint's optimisers and moving-average ramp."""
        for name, optimizer in self.optimizers.items():
            if name in self._pending_optimizers:
                optimizer.load_state_dict(self._pending_optimizers[name])
        self.ema.images = self._pending_images
