"""``train --dry-run`` and ``--print-config``: what a training would be, without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advtasks.config import RunConfig
from advtasks.config_files import to_yaml
from advtasks.plugins import plugins, resolve
from advtasks.training.run_folder import check_free, described


def look(task: str, preset: str, config: RunConfig, *, dry_run: bool, begun: Path | None = None) -> int:
    """``--print-config`` and ``--dry-run``, which prints it, too; of a run that is there, or of one that is not yet."""
    if dry_run:
        return _dry_run(task, preset, config, begun)
    print(to_yaml(described(task, preset, config)), end="")
    return 0


def _dry_run(task_name: str, preset: str, config: RunConfig, begun: Path | None) -> int:
    """Everything up to the first step, the rehearsal on the CPU included, without writing a run folder."""
    from advtasks.data.cache import PictureCache
    from advtasks.devices import choose_device, choose_precision
    from advtasks.training.adversaries import make_adversaries
    from advtasks.training.checks import check_data, check_run, check_torch, never_computed
    from advtasks.training.manifests import check_manifest
    from advtasks.training.progress import Console
    from advtasks.training.rehearsal import rehearse

    if begun is None and config.out is not None:
        check_free(config.out)
    spec = plugins().find("tasks", task_name).spec
    check_data(spec, config)
    task = resolve(spec.task)(config)
    check_run(task, config, config.devices)
    check_torch(config)
    check_manifest(task_name, task, task.manifest())
    adversaries = make_adversaries(task, config)
    splits = task.splits(PictureCache(config.cache, config.cache_gib, Console().watch))
    device = choose_device(config.device)
    generator = task.generator()
    warnings = [*never_computed(adversaries, config)]
    warnings += rehearse(task, generator, adversaries, splits.train, config.stages)
    print(to_yaml(described(task_name, preset, config)), end="")
    print("---")
    stages = ", ".join(f"{stage.name} {stage.steps}" for stage in config.stages)
    print(f"# {sum(stage.steps for stage in config.stages)} steps ({stages}), batches of {config.batch}")
    if begun is not None:
        print(f"# {_how_far(begun)}")
    for note in (*splits.notes, *(f"warning: {text}" for text in warnings)):
        print(f"# {note}")
    print(f"# device {device}, precision {choose_precision(config.precision, device)}")
    print(f"# generator: {_parameters(generator):,} parameters")
    for view, adversary in adversaries.items():
        print(f"# critic of {view}: {_parameters(adversary.discriminator):,} parameters")
    return 0


def _how_far(run: Path) -> str:
    """What ``--resume`` would do."""
    from advtasks.training.checkpoint import Checkpoints

    if (run / "bundle.safetensors").exists():
        return f"{run} is finished"
    return f"would go on in {run}. {Checkpoints(run / 'checkpoints', 1).describe_latest()}"


def _parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
