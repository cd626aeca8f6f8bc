"""``advtasks train TASK[:PRESET] --data DIR`` and ``advtasks train --resume RUN``."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advtasks.cli.begun import begun_by, configuration_of, finished
from advtasks.cli.dry_run import look
from advtasks.cli.flags import Flags
from advtasks.cli.presets import presets_of
from advtasks.config import RunConfig
from advtasks.config_files import from_plain, merged, read_yaml, to_plain
from advtasks.config_places import from_anywhere
from advtasks.errors import DATA_MISTAKE, AdvtasksError, DataError, Interrupted, UsageError, did_you_mean
from advtasks.plugins import plugins, resolve

USAGE = """\
usage: advtasks train TASK[:PRESET] --data DIR [OPTIONS]
       advtasks train TASK --help            all options of a task
       advtasks train --resume RUN           go on with a run that was stopped [--devices N]

  --auto-resume        go on with the run in --out if one is there, else begin it: one command for jobs that restart
  --config FILE.yaml   read options from a file (a run.yaml, or some fields of it); flags win
  --print-config       print the whole configuration as YAML, and stop
  --dry-run            check data and configuration, say what would be done, and stop
  --tune               time a few steps of each precision, layout and compilation here; train with the fastest
"""

_TUNED = ("precision", "channels_last", "critic_channels_last", "compile")


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE + _tasks())
        return 0 if argv else 2
    known, rest = _own_flags().parse_known_args(argv)
    if known.resume is not None:
        devices = _devices(rest)
        others = {"--config": known.config, "--tune": known.tune, "--auto-resume": known.auto_resume}
        refused = [*(rest if devices is None else []), *(flag for flag, given in others.items() if given)]
        if refused:
            raise UsageError(
                "--resume goes on exactly as the run began; it takes only --devices N, --dry-run and "
                f"--print-config, not {refused[0]!r}"
            )
        task, preset, config = configuration_of(Path(known.resume), devices)
        if known.print_config or known.dry_run:
            return look(task, preset, config, dry_run=known.dry_run, begun=Path(known.resume))
        return _resume(Path(known.resume), task, preset, config)
    if rest and not rest[0].startswith("-"):
        target, flags = rest[0], rest[1:]
    elif known.config is not None:
        target, flags = "", rest
    else:
        raise UsageError(f"name the task first: advtasks train TASK --data DIR\n{_tasks()}")
    if known.tune:
        _check_tuning(flags, known.config)
    task, preset, config = configure(target, flags, known.config)
    found_again = from_anywhere(dataclasses.replace(config, out=None))
    if known.auto_resume and (known.tune or config.out is None):
        way = "leave --tune away, and give what it chose" if known.tune else "give --out RUN"
        raise UsageError(f"--auto-resume needs a command that says the same each time: {way}")
    if known.print_config or known.dry_run:
        begun = begun_by(task, preset, found_again, config.out) if known.auto_resume else None
        return look(task, preset, config, dry_run=known.dry_run, begun=begun)
    tuned: list[Any] = []
    if known.tune:
        found_again, tuned = _tune(task, found_again)
    return _train(task, preset, found_again, config.out, resume=False, auto=known.auto_resume, tuned=tuned)


def _own_flags() -> Flags:
    parser = Flags("advtasks train")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--resume")
    parser.add_argument("--auto-resume", action="store_true")
    parser.add_argument("--print-config", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--tune", action="store_true")
    return parser


def configure(target: str, flags: list[str], file: Path | None) -> tuple[str, str, RunConfig]:
    """Task, preset and configuration from ``TASK[:PRESET]``, flags and a YAML file; flags win over the file.

    Raises:
        UsageError: unknown task, preset, field or value.
    """
    from advtasks.training.run_folder import split_header

    file_task, file_preset, values = split_header(read_yaml(file)) if file else ("", "", {})
    name, _, preset = target.partition(":")
    name = name or file_task
    if not name:
        raise UsageError(f"{file}: no task; write `task: NAME`, or name the task on the command line")
    if file_task and name != file_task:
        raise UsageError(f"{file} is for the task {file_task!r}, not {name!r}")
    presets = presets_of(name, file if name == file_task else None)
    preset = preset or file_preset or next(iter(presets))
    if preset not in presets:
        raise UsageError(f"task {name!r} has no preset {preset!r}: {did_you_mean(preset, presets)}")
    default = presets[preset]
    if file is not None:
        default = from_plain(type(default), merged(to_plain(default), values), str(file))
    return name, preset, _with_flags(f"{name}:{preset}", default, flags)


def _with_flags(target: str, default: RunConfig, flags: list[str]) -> RunConfig:
    import tyro

    return tyro.cli(
        type(default),
        prog=f"advtasks train {target}",
        description=f"{USAGE}\nDefaults below are those of {target}.",
        default=default,
        args=flags,
        config=(tyro.conf.HelptextFromCommentsOff,),
    )


def _tasks() -> str:
    lines = ["\ntasks and presets:"]
    for name, found in plugins().provided("tasks").items():
        try:
            presets = ", ".join(f"{name}:{preset}" for preset in presets_of(name, None))
        except UsageError as error:  # of this task alone
            presets = str(error)
        lines.append(f"  {name:<10}  {found.spec.summary}\n  {'':<10}  {presets}")
    return "\n".join([*lines, *plugins().report_broken()])


def _check_tuning(flags: list[str], file: Path | None) -> None:
    """Refuse flags that ``--tune`` would overrule, and name such fields of a file, which may be a whole run.yaml."""
    for flag in flags:
        if flag.startswith("--") and flag[2:].partition("=")[0].replace("-", "_").removeprefix("no_") in _TUNED:
            raise UsageError(f"--tune chooses what {flag} says: leave one of the two away")
    overruled = [name for name in _TUNED if file is not None and name in read_yaml(file)]
    if overruled:
        print(f"note: --tune chooses in place of {', '.join(overruled)} in {file}", file=sys.stderr)


def _tune(task_name: str, config: RunConfig) -> tuple[RunConfig, list[Any]]:
    """The configuration with the fastest choice of this machine, and the table that goes into run.yaml."""
    import os

    from advtasks.data.cache import PictureCache
    from advtasks.launchers import place
    from advtasks.training.checks import check_data, check_run, check_torch
    from advtasks.training.progress import Console
    from advtasks.training.tune import tune

    if place(os.environ) is not None:
        raise UsageError("--tune measures on one process: run it once without the launcher, and give what it chose")
    spec = plugins().find("tasks", task_name).spec
    check_data(spec, config)
    make_task = resolve(spec.task)
    check_run(make_task(config), config, config.devices)
    check_torch(config)
    if config.shard_generator:
        raise UsageError("--tune times whole generators on one device: choose --precision yourself for a shared one")
    console = Console()
    chosen, found = tune(make_task, config, PictureCache(config.cache, config.cache_gib, console.watch), console.say)
    return chosen, [dataclasses.asdict(choice) for choice in found]


def _devices(flags: list[str]) -> int | None:
    """N of a lone ``--devices N``."""
    text = " ".join(flags).replace("=", " ").split()
    return int(text[1]) if len(text) == 2 and text[0] == "--devices" and text[1].isdigit() else None


def _resume(folder: Path, task: str, preset: str, config: RunConfig) -> int:
    return 0 if finished(folder) else _train(task, preset, config, folder, resume=True)


def _train(
    task: str,
    preset: str,
    config: RunConfig,
    out: Path | None,
    *,
    resume: bool,
    auto: bool = False,
    tuned: Sequence[Any] = (),
) -> int:
    """Train here, as one of several processes that a launcher started, or by starting them.

    Args:
        out: the run's folder, or None for a new one.
        resume: go on with the run in it.
        auto: do so if one is there.
        tuned: what ``--tune`` measured.
    """
    import os

    from advtasks.allocator import keep_freed_memory
    from advtasks.distributed import rank, world_size
    from advtasks.launchers import launched, place, restarted
    from advtasks.process_group import from_first, gathered, joined
    from advtasks.training.launcher_lost import LAUNCHER, end_with_launcher
    from advtasks.training.run import train
    from advtasks.training.run_folder import reserve

    keep_freed_memory()
    end_with_launcher()
    if LAUNCHER in os.environ:
        DataError.exit_code = DATA_MISTAKE
    folder: Path | None = out
    try:
        with joined(config.device, config.rank_timeout):
            if auto and from_first(lambda: bool((run := begun_by(task, preset, config, out)) and finished(run))):
                return 0
            again = auto or any(gathered(restarted(os.environ)))  # by some agent's count
            resume = resume or from_first(lambda: again and out is not None and (out / "run.yaml").exists())
            folder = out if resume and out is not None else from_first(lambda: reserve(out, task, preset))
            if (config.devices > 1 or config.restarts) and not launched(os.environ):
                return _launch(task, preset, config, folder, resume=resume, tuned=tuned)
            if LAUNCHER not in os.environ and config.devices > 1 and rank() == 0:
                note = f"note: a launcher started {world_size()} processes, so devices: {config.devices} is not used"
                print(note, file=sys.stderr)
            train(task, preset, config, folder, resume=resume, tuned=tuned)
    except Interrupted as stopped:
        here = place(os.environ)
        if LAUNCHER not in os.environ and (here is None or here.rank == 0):  # else the one that launched says it
            print(_GO_ON.format(folder), file=sys.stderr)
        return 130 if str(stopped) == "SIGINT" else 143
    except OSError as error:
        begun = folder is not None and (folder / "run.yaml").is_file()
        way = f"Mend that, then go on: advtasks train --resume {folder}" if begun else "Mend that, then start again"
        raise AdvtasksError(f"{error.filename or folder}: {error.strerror or error}. {way}") from error
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing was written: the run did not begin
    return 0


_GO_ON = "\nstopped. Go on from the last checkpoint: advtasks train --resume {}"


def _launch(task: str, preset: str, config: RunConfig, folder: Path, *, resume: bool, tuned: Sequence[Any]) -> int:
    """Start ``--devices`` processes, each of which resumes a run that is there as far as its run.yaml."""
    from advtasks.training import run_folder
    from advtasks.training.checks import check_run
    from advtasks.training.launch import launch

    check_run(resolve(plugins().find("tasks", task).spec.task)(config), config, config.devices)
    if not resume:
        run_folder.create(folder, task, preset, config, tuned)
    code = launch(["-m", "advtasks.cli.main", "train", "--resume", str(folder)], config.devices, config.restarts)
    if code in (130, 143):
        print(_GO_ON.format(folder), file=sys.stderr)  # which begins anew where there is no checkpoint yet
    mistaken = code in (UsageError.exit_code, DATA_MISTAKE)  # which only the processes could find
    if mistaken and not resume and {path.name for path in folder.iterdir()} <= {"run.yaml", ".lock"}:
        for path in folder.iterdir():  # the run did not begin
            path.unlink()
    return DataError.exit_code if code == DATA_MISTAKE else code
