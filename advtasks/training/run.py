"""A whole training run: data, trainer, files, report."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advtasks import components
from advtasks.atomic import write_bytes
from advtasks.bundle import folded, save_bundle
from advtasks.causes import said
from advtasks.config import RunConfig, StageConfig
from advtasks.config_places import from_anywhere
from advtasks.data.cache import PictureCache
from advtasks.discriminators import Discriminator
from advtasks.distributed import rank, world_size
from advtasks.evaluation.runner import Evaluation, evaluate
from advtasks.plugins import plugins, resolve
from advtasks.process_group import first_alone_then_all, from_first, gathered, in_contact
from advtasks.reporting.pictures import save_contact_sheet, save_picture
from advtasks.reporting.report import write_report
from advtasks.reporting.results import read_results, write_results
from advtasks.reporting.table import result_table, worse_than_best
from advtasks.reporting.times import duration
from advtasks.run_lock import RunLock
from advtasks.task import Task
from advtasks.trackers import JsonLines, Tracker
from advtasks.training import run_folder
from advtasks.training.adversaries import make_adversaries
from advtasks.training.best_bundles import BestBundles
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.checks import check_data, check_run, check_torch, check_validation, never_computed
from advtasks.training.clock import peak_memory
from advtasks.training.consistency import check_same_data
from advtasks.training.failures import told
from advtasks.training.initial import begin_with
from advtasks.training.interrupt import Interrupt
from advtasks.training.loop import SHOWN, Trainer
from advtasks.training.manifests import check_manifest, manifest_of
from advtasks.training.profiler import TRACE
from advtasks.training.progress import Console, silent
from advtasks.training.rehearsal import rehearse
from advtasks.training.stopwatch import Stopwatch


def train(
    task_name: str, preset: str, config: RunConfig, folder: Path, *, resume: bool = False, tuned: Sequence[Any] = ()
) -> Path:
    """Train, from data folder to bundle and report. Gives the path of the bundle. The global random generators are
    left as the last step seeded them.

    Args:
        tuned: what ``--tune`` measured, kept in run.yaml.

    Raises:
        AdvtasksError: of any kind that a user can mend; see :mod:`advtasks.errors`.
        Interrupted: the run was stopped and can be resumed.
    """
    config = from_anywhere(config)
    console = Console() if rank() == 0 else Console(silent())
    with Interrupt() as interrupt, contextlib.ExitStack() as held:
        from_first(lambda: run_folder.read(folder) if resume else run_folder.reserve(folder, task_name, preset))
        from_first(lambda: held.enter_context(RunLock(folder)) and None)
        held.enter_context(in_contact())  # so that the lock tells a loss as the user is told it
        held.enter_context(told(folder))
        run = _Run(task_name, config, folder, console)
        held.callback(run.close)
        # hosts with caches of their own decode at their own speed; from here on waiting is an error
        check_same_data(run.splits)
        begun = resume and run.trainer.resume()
        if resume and not begun:
            from_first(lambda: run_folder.check_nothing_lost(folder, config.checkpoint_every))
        if not begun and config.initial_weights is not None:
            begin_with(run.trainer.networks, config.initial_weights)
            console.say(f"beginning with the weights of {config.initial_weights}")
        if not resume and rank() == 0:  # what is refused above leaves no run behind
            run_folder.create(folder, task_name, preset, config, tuned)
        return run.train(resume, interrupt)


class _Run:
    """The parts of one run."""

    def __init__(self, task_name: str, config: RunConfig, folder: Path, console: Console) -> None:
        provided = plugins().find("tasks", task_name)
        check_data(provided.spec, config)
        self.name, self.config, self.folder, self.console = task_name, config, folder, console
        self.task: Task = resolve(provided.spec.task)(config)
        check_run(self.task, config, world_size())
        check_torch(config)
        self.cache = PictureCache(config.cache, config.cache_gib, console.watch)
        # names and options are checked before anything is decoded
        self.manifest = self.task.manifest()
        check_manifest(task_name, self.task, self.manifest)
        self.adversaries = make_adversaries(self.task, config)
        for text in never_computed(self.adversaries, config):
            console.say(f"warning: {text}")
        self.splits = first_alone_then_all(lambda: self.task.splits(self.cache))
        check_validation(config, self.splits)
        self.trackers: list[Tracker] = []
        self.best_bundles = BestBundles(folder)
        if config.shard_generator:  # while all is on the CPU: whole, the generator may not fit on the device
            self._rehearse(self.task.generator())
        self.trainer = Trainer(
            self.task,
            self.config,
            self.splits,
            self.adversaries,
            Checkpoints(self.folder / "checkpoints", self.config.checkpoints_kept),
            self.trackers,
            self.console,
            on_validation=self._validated,
            on_stage_end=self._stage_end,
        )

        if not config.shard_generator:
            self._rehearse(self.trainer.networks.fresh_generator())

    def _rehearse(self, generator: nn.Module) -> None:
        """Find what does not fit, before anything is written."""
        for text in rehearse(self.task, generator, self.adversaries, self.splits.train, self.config.stages):
            self.console.say(f"warning: {text}")

    def train(self, resume: bool, interrupt: Interrupt) -> Path:
        self._open_trackers()
        for note in self.splits.notes:
            self.console.say(note)
        if resume:
            self.trainer.recorder.rewind(self.trainer.step)
        if self.trainer.step:
            self.console.say(f"going on at step {self.trainer.step}")
        self._introduce()
        self.baseline = self._measure_baseline()
        if rank() == 0:
            self._write_results()
        self.trainer.train(interrupt)
        bundle = self.folder / "bundle.safetensors"
        self._finish(bundle)
        return bundle

    def _open_trackers(self) -> None:
        if rank() > 0:
            return
        self.trackers.append(JsonLines(self.folder))
        for name in components.provided("trackers"):
            try:
                self.trackers.append(components.build("trackers", name, folder=self.folder))
            except Exception as error:  # a tracker of some package must not stop the training
                self.console.say(f"note: tracker {name} is off: {error}")

    def close(self) -> None:
        for tracker in self.trackers:
            try:
                tracker.close()
            except Exception as error:  # a tracker of some package must not spoil a run that is done
                self.console.say(f"note: {type(tracker).__name__} could not be closed: {said(error)}")

    def _introduce(self) -> None:
        networks = self.trainer.networks
        parameters = sum(p.numel() for p in networks.generator.parameters())
        adversary = self.config.adversary
        critics = [m for a in networks.adversaries.values() for m in a.modules() if isinstance(m, Discriminator)]
        seen = f" (a logit sees {side}x{side} pixels)" if critics and (side := critics[0].receptive_field) else ""
        judge = f"{adversary.discriminator}{seen}, {adversary.loss}" if critics else "none"
        several = f"{world_size()} processes, each " if world_size() > 1 else ""
        self.console.say(
            f"{self.name}: generator {parameters:,} parameters, adversary: {judge}; {several}{networks.device}, "
            f"{networks.precision}, {torch.get_num_threads()} threads; run folder {self.folder}"
        )

    def _measure_baseline(self) -> dict[str, float] | None:
        """The baseline on all validation examples; its pictures are kept for the report."""
        if self.task.baseline is None or not self.splits.validation:
            return None
        watch = lambda done, count: self.console.watch(f"measuring {self.task.baseline}", done, count)  # noqa: E731
        clock = Stopwatch()
        result = evaluate(self.task, None, self.splits.validation, watch, keep_pictures=SHOWN, patient=True)
        self._note_baseline(clock.lap())
        if rank() == 0:
            self._keep_pictures(str(self.task.baseline), result)
        return result.means

    def _note_baseline(self, seconds: float) -> None:
        trainer = self.trainer
        trainer.seconds_validating += seconds
        trainer.seconds_aside += seconds
        place = self.config.stage_at(trainer.step, trainer.lengths)
        if place is not None:
            trainer.recorder.baseline(trainer.step, place[1].name, seconds)

    def _keep_pictures(self, name: str, result: Evaluation) -> None:
        """``pictures/N/``: what the report shows; outputs under `name`."""
        for number, example in enumerate(result.examples[:SHOWN]):
            for kind, picture in example.pictures.items():
                label = name if kind == "output" else kind
                save_picture(self.folder / "pictures" / str(number) / f"{label}.png", picture)

    def _validated(self, step: int, result: Evaluation, best: bool) -> None:
        stage = self.trainer.stage_step.stage.name
        if best and self.config.keep_best:
            try:
                self._save_bundle(self.best_bundles.path(stage, step), stage, result.means)
            except OSError as error:
                self.console.say(f"warning: the best of step {step} could not be kept ({error}); training goes on")
        if rank() > 0:
            return
        if self.config.keep_best:
            self.best_bundles.forget(stage, step, best, self.trainer.checkpoints.steps())
        shown = [example.pictures for example in result.examples[:SHOWN]]
        try:
            save_contact_sheet(self.folder / "previews" / f"step-{step:08d}.jpg", shown)
        except OSError as error:
            self.console.say(f"warning: no preview of step {step} ({error}); training goes on")

    def _stage_end(self, stage: StageConfig, result: Evaluation) -> None:
        self._save_bundle(self.folder / "stages" / f"{stage.name}.safetensors", stage.name, result.means)
        if rank() == 0:
            self._keep_pictures(stage.name, result)
            self._write_results()

    def _write_results(self) -> None:
        values = {
            "metrics": [dataclasses.asdict(metric) for metric in self.task.metrics] if self.splits.validation else [],
            "baseline": {"name": self.task.baseline, "metrics": self.baseline},
            "stages": [dataclasses.asdict(stage) for stage in self.trainer.results],
            "validation_pictures": len(self.splits.validation),
            "pictures": list(self.task.picture_names),
        }
        write_results(self.folder, values)

    def _save_bundle(self, path: Path, stage: str, metrics: dict[str, float]) -> None:
        network = self.trainer.networks.average()
        if rank() > 0:
            return
        manifest = manifest_of(self.name, self.task, self.manifest, stage, metrics, self.trainer.step)
        save_bundle(path, *folded(network, manifest))

    def _best_bundle(self) -> Path | None:
        """That of the last stage's best validation. Now that all checkpoints are written, no roll-back needs others."""
        if not self.config.keep_best:
            return None
        for stage in self.trainer.results:
            found = stage.best.get(self.config.keep_best)  # none of a metric that could never be measured
            self.best_bundles.keep_only(stage.stage, int(found["step"] or 0) if found else -1)
        return next(iter(self.best_bundles.of(self.trainer.results[-1].stage)), None)

    def _finish(self, bundle: Path) -> None:
        trainer, last = self.trainer, self.trainer.results[-1]
        if rank() == 0:
            self._write_results()
            write_report(self.folder)
        best = from_first(self._best_bundle)  # one that all see, whatever their disks say
        if best is None:
            self._save_bundle(bundle, last.stage, last.metrics)  # last: a run that has it is finished
        elif rank() == 0:
            write_bytes(bundle, best.read_bytes())
        memory = max(gathered(peak_memory(trainer.networks.device)))
        if rank() > 0:
            return
        results = read_results(self.folder)
        self.console.say(f"\n{result_table(results)}\n")
        for line in worse_than_best(results):
            self.console.say(line)
        whole, validating = max(trainer.seconds + trainer.seconds_aside, 1e-9), trainer.seconds_validating
        self.console.say(
            f"took {duration(whole)} after its start-up: training {duration(trainer.seconds)}, baseline and validation "
            f"{duration(validating)} ({validating / whole:.1%}), previews and checkpoints "
            f"{duration(max(trainer.seconds_aside - validating, 0))}; memory at most {memory:.1f} GiB"
            f"{' a process' if world_size() > 1 else ''}"
        )
        kept = ""
        if best is not None:
            step = int(best.stem.rpartition("-")[2])
            found = last.best.get(str(self.config.keep_best), {})
            value = f"the best by {self.config.keep_best}: {found['best']:.4g}" if found.get("step") == step else "kept"
            kept = f" ({value} at step {step}{', not the last' * (step != trainer.step)})"
        if self.config.profile and (self.folder / "profile" / TRACE).is_file():
            self.console.say(f"profile  {self.folder / 'profile'}")
        self.console.say(f"bundle   {bundle}{kept}\nreport   {self.folder / 'report.html'}")
        verb = self.manifest["verb"]
        usage = f"{plugins().find('verbs', verb).spec.usage} {self.task.more_usage}".strip()
        self.console.say(f"try it   advtasks {verb} {usage} --model {self.folder}")
