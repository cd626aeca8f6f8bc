"""One training step of a stage: every phase that is due computes its terms, goes backward and steps its optimiser.

Read it together with ``loop.py``. Everything random is a function of (seed, step, phase).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

from advtasks.adversary import Adversary
from advtasks.config import RunConfig, StageConfig
from advtasks.devices import FIRST_SCALE, scaler
from advtasks.distributed import all_mean, rank, world_size
from advtasks.errors import TrainingError
from advtasks.mixture import AnyAdversary
from advtasks.optimizers import make_optimizer
from advtasks.phase import Phase
from advtasks.pieces import buffers_kept, in_pieces
from advtasks.process_group import gathered
from advtasks.task import Batch, Judged, Term, Terms
from advtasks.training.clock import Clock
from advtasks.training.guard import Guard
from advtasks.training.meters import SKIPPED, Meters
from advtasks.training.networks import Networks
from advtasks.training.randomness import seed_draws
from advtasks.training.scene import Scene
from advtasks.training.schedules import factor
from advtasks.training.sharding import reshard
from advtasks.training.views import laid_out, on_view, shown


class Step:
    """The step of one stage, with its optimisers. Fresh ones are made for each stage.

    Args:
        guard: asked what to watch.
        not_finite: makes the error for a term that is not finite.
    """

    def __init__(
        self,
        networks: Networks,
        config: RunConfig,
        stage: StageConfig,
        meters: Meters,
        clock: Clock,
        guard: Guard | None = None,
        not_finite: Callable[[str], Exception] = lambda term: TrainingError(f"{term} is not finite"),
    ) -> None:
        self.networks, self.config, self.stage = networks, config, stage
        self.meters, self.clock, self.guard, self.not_finite = meters, clock, guard, not_finite
        self.task = networks.task
        self.adversaries: dict[str, AnyAdversary] = networks.adversaries if stage.adversary else {}
        optimizer = make_optimizer(config.optimizer, networks.generator, stage.learning_rate, config.betas)
        self.optimizers: dict[str, Optimizer] = {"generator": optimizer}
        self.phases: list[Phase[Scene]] = []
        several = len(self.adversaries) > 1
        for view, adversary in self.adversaries.items():
            adversary.set_precision(networks.autocast, scaler(networks.device, networks.precision))
            for part in adversary.modules():
                if isinstance(part, Adversary):
                    part.measure = clock.measure
            for phase in adversary.phases():
                self.phases.append(on_view(view, phase, self._show, several))
                self.optimizers[f"discriminator/{view}" if several else "discriminator"] = phase.optimizer
        self.base_rates = {name: item.param_groups[0]["lr"] for name, item in self.optimizers.items()}
        self.generator_phase: Phase[Scene] = Phase(
            name="generator",
            optimizer=optimizer,
            terms=self._generator_terms,
            interval=config.adversary.steps_per_generator_step if stage.adversary else 1,
            clip_norm=config.clip_norm,
            after_backward=functools.partial(reshard, networks.generator) if networks.sharded else None,
            scaler=scaler(networks.device, networks.precision),
        )
        self.simultaneous = config.adversary.updates == "simultaneous"
        self.phases.insert(0 if self.simultaneous else len(self.phases), self.generator_phase)
        networks.ema.restart()
        networks.generator.train()

    @property
    def scalers(self) -> dict[str, GradScaler]:
        """The loss scalers of float16, by phase."""
        return {phase.name: phase.scaler for phase in self.phases if phase.scaler is not None}

    def spoiled(self) -> str | None:
        """A phase whose gradients of float16 stay infinite or NaN however far its loss is scaled down, so that all its
        steps are skipped. Reads the scales, for which a GPU is waited for."""
        lowest = FIRST_SCALE * 0.5 ** (2 * SKIPPED)
        return next((name for name, item in self.scalers.items() if item.get_scale() < lowest), None)

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scalers": {name: item.state_dict() for name, item in self.scalers.items()},
            "ema": self.networks.ema.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on within the stage.

        Raises:
            TrainingError: nothing was loaded since the last training.
        """
        if not state:
            raise TrainingError("training ended within this stage: resume() from its checkpoint first, then train()")
        for name, optimizer in self.optimizers.items():
            if name in state["optimizers"]:  # a shared generator's comes from the ranks' shares
                options = set(optimizer.param_groups[0])
                optimizer.load_state_dict(state["optimizers"][name])
                if lost := options - set(optimizer.param_groups[0]):
                    raise ValueError(f"the state of the {name} is another optimiser's: no {', '.join(sorted(lost))}")
                _lay_out(optimizer)
        for name, item in self.scalers.items():
            if name in state["scalers"]:  # run.yaml may have changed to float16
                item.load_state_dict(state["scalers"][name])
        self.networks.ema.load(state["ema"])

    def run(self, host_batch: Batch, step: int, stage_step: int, rate_scale: float = 1.0) -> None:
        """One step on a batch of the loader.

        Args:
            step: of the run, for the random draws.
            stage_step: of the stage, for schedules and intervals.
            rate_scale: all learning rates are multiplied by it.
        """
        seed = self.config.seed
        scene = Scene(self._prepared(host_batch, step), None, stage_step, step)
        if self.task.shares_fake or self.simultaneous:
            seed_draws(seed, step, "output", rank())
            with self.clock.measure("generator"):
                scene.output = self._output(scene, grad=self.generator_phase.due(stage_step))
        rate = factor(self.stage.schedule, stage_step, self.stage.steps, self.stage.warmup)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.base_rates[name] * rate * rate_scale
        for phase in self.phases:
            if phase.due(stage_step):
                seed_draws(seed, step, phase.name, rank())
                with self.clock.measure(_kind(phase.name)):
                    terms = phase.run(scene, lambda phase, terms: self._check(phase, terms, step))
                    self.meters.add(terms, tolerant=phase.scaler is not None)
        if self.generator_phase.due(stage_step):
            images = next(iter(scene.batch.values())).shape[0] * world_size()
            with self.clock.measure("generator"):
                follow = rate if self.config.ema_follows_rate else 1.0
                self.networks.ema.update(self.networks.generator, images, follow)

    def _prepared(self, host_batch: Batch, step: int) -> Batch:
        """On the device, as the networks want it."""
        networks = self.networks
        with self.clock.measure("prepare"):
            moved = {name: tensor.to(networks.device, non_blocking=True) for name, tensor in host_batch.items()}
            seed_draws(self.config.seed, step, "batch", rank())
            prepared = self.task.prepare(moved).items()
            return {k: t.contiguous(memory_format=networks.layout) if t.dim() == 4 else t for k, t in prepared}

    def _show(self, scene: Scene, output: Tensor | None = None) -> dict[str, Judged]:
        """What the critics see of a scene, by view; of an output that all phases share, the same objects."""
        if scene.judged is not None:
            return scene.judged
        output = self._output(scene, grad=False) if output is None else output
        judged = shown(self.task, scene.batch, output, self._synthesize)
        if self.networks.critic_layout != self.networks.layout:
            judged = laid_out(judged, self.networks.critic_layout)
        if scene.output is not None:
            scene.judged = judged
        return judged

    def _output(self, scene: Scene, grad: bool) -> Tensor:
        if scene.output is not None:
            return scene.output
        with torch.set_grad_enabled(grad), self.networks.autocast():
            names = list(scene.batch)

            def generate(*rows: Tensor) -> Tensor:
                return self.task.generate(self.networks.trained, dict(zip(names, rows, strict=True)))

            rows = list(scene.batch.values())
            if self.config.accumulate == 1:
                return generate(*rows)
            parts = in_pieces(generate, rows, self.config.accumulate, [self.networks.generator], whole_draws=True)
            return torch.cat(parts)

    def _synthesize(self, batch: Batch) -> Tensor:
        """For regularizers that move the noise: the plain network in float32, which can be differentiated twice. Its
        statistics (batch norm) are those of the outputs that are trained on alone."""
        with torch.autocast(self.networks.device.type, enabled=False), buffers_kept(self.networks.generator):
            return self.task.generate(self.networks.generator, batch)

    def _generator_terms(self, scene: Scene) -> Terms:
        output = self._output(scene, grad=True)
        with self.networks.autocast():
            terms = self._objective(scene.batch, output)
            if not terms and any(self.stage.weights.values()):
                raise ValueError(f"stage {self.stage.name!r} weighs terms, and the task's objective gave none")
        if not self.adversaries:
            return terms
        judged = self._show(scene, output)
        for view, adversary in self.adversaries.items():
            found = adversary.generator_terms(judged[view], scene.stage_step)
            ending = f"/{view}" if len(self.adversaries) > 1 else ""
            if self.guard is not None and self.guard.watching(scene.step, self.generator_phase.interval):
                found.update(self.guard.variety(judged[view]))
            terms.update({f"{name}{ending}": term for name, term in found.items()})
        return terms

    def _objective(self, batch: Batch, output: Tensor) -> Terms:
        """The task's own terms; in pieces where they are means over samples."""
        weights, pieces = self.stage.weights, self.config.accumulate
        if pieces == 1 or not self.task.terms_of_samples:
            return self.task.objective(batch, output, weights)
        names = list(batch)

        def objective(output: Tensor, *rows: Tensor) -> Terms:
            return self.task.objective(dict(zip(names, rows, strict=True)), output, weights)

        parts = in_pieces(objective, [output, *batch.values()], pieces, [self.task])
        return {
            name: Term(torch.stack([part[name].value for part in parts]).mean(), term.weight)
            for name, term in parts[0].items()
        }

    def _check(self, phase: Phase[Scene], terms: Terms, step: int) -> None:
        """Stop before a step on values that are not finite. On a GPU reading them would wait for it: the loop looks
        at their means instead. A loss scaler skips such a step by itself."""
        if self.networks.device.type == "cpu" and phase.scaler is None:
            bad = [name for name, term in terms.items() if not math.isfinite(term.value.detach().item())]
            if all_mean(torch.tensor(float(bool(bad)))).item() > 0:
                raise self.not_finite(next(filter(None, gathered(bad[0] if bad else None, patient=False))))
        if self.guard is not None and self.guard.watching(step, phase.interval):
            self.meters.add(self.guard.gradients(phase))


def _lay_out(optimizer: Optimizer) -> None:
    """Moments in the memory layout of their parameters, which run.yaml may have changed: fused optimisers want that."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _kind(phase: str) -> str:
    """What a phase counts as in the table of times; lazy regularizers are phases of their own."""
    if phase == "generator":
        return "generator"
    return "penalty" if phase.startswith("discriminator-") else "discriminator"
