"""Runs that are there already: what they train, whether they are finished, and whether a command says the same."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from advtasks.cli.presets import presets_of
from advtasks.config import RunConfig
from advtasks.config_files import dotted, from_plain, to_plain
from advtasks.errors import UsageError
from advtasks.launchers import place


def configuration_of(folder: Path, devices: int | None = None) -> tuple[str, str, RunConfig]:
    """Task, preset and configuration of a run; with another number of processes."""
    from advtasks.training import run_folder

    task, preset, values = run_folder.read(folder)
    presets = presets_of(task, folder / "run.yaml")
    config = from_plain(type(next(iter(presets.values()))), values, str(folder / "run.yaml"))
    if devices is not None:
        config = dataclasses.replace(config, devices=devices)
    return task, preset, config


def begun_by(task: str, preset: str, config: RunConfig, out: Path | None) -> Path | None:
    """The run that ``--auto-resume`` goes on with; None if there is none yet.

    Raises:
        UsageError: it was begun with another configuration.
    """
    if out is None or not (out / "run.yaml").exists():
        return None
    *names, then = configuration_of(out)
    anew = dataclasses.replace(config, devices=then.devices, restarts=then.restarts)
    kinds = zip(("task", "preset"), names, (task, preset), strict=True)
    old, new = dotted(to_plain(then)), dotted(to_plain(anew))
    values = ((name, old.get(name), new.get(name)) for name in {**old, **new})
    for name, was, now in (*kinds, *values):
        if was != now:
            raise UsageError(
                f"{out} was begun with {name}: {was}, and this command says {now}: give what it was begun with, go on "
                f"as run.yaml says with `advtasks train --resume {out}`, or choose another --out"
            )
    return out


def finished(folder: Path) -> bool:
    """Whether a run is, which the first rank says."""
    bundle = folder / "bundle.safetensors"
    if not bundle.exists():
        return False
    here = place(os.environ)
    if here is None or here.rank == 0:
        print(f"{folder} is finished: {bundle}\nto train it further, begin a run with --initial-weights {folder}")
    return True
