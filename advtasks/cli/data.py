"""``advtasks data check DIR``: what is in a folder, before training finds out."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from advtasks.cli.flags import Flags
from advtasks.data.folder import EXTENSIONS
from advtasks.data.listing import few
from advtasks.errors import DataError, UsageError
from advtasks.hookspecs import TaskSpec


@dataclass(frozen=True, kw_only=True)
class Data:
    """Decode every picture of a folder and say what was recognised, what is broken, small, or there twice.

    Exit code 1 if something keeps files from being used.
    """

    action: tyro.conf.Positional[Literal["check"]]
    """What to do."""
    folder: tyro.conf.Positional[Path]
    """The data folder."""
    task: str | None = None
    """Only the layout of this task, with its options (--help --task NAME shows them); by default of every task that
    knows the folder."""
    min_side: int = 128
    """Pictures with a shorter side are listed as small: a task may not be able to cut a training patch from them."""
    sheet: Path | None = None
    """Write a contact sheet of the first 60 pictures to this file (JPEG)."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    spec, reading = _task(argv)
    kind = make_dataclass("Data", [], bases=(reading, Data), frozen=True, kw_only=True) if reading else Data
    options: Any = tyro.cli(kind, prog="advtasks data check", args=argv, description=inspect.getdoc(Data))

    from advtasks.data.check import check_folder
    from advtasks.plugins import plugins
    from advtasks.training.progress import Console

    tasks = [spec] if spec else [one.spec for one in plugins().provided("tasks").values() if one.spec.needs_data]
    said: dict[str, Any] = {}
    if spec and reading:
        said["reading"] = reading(**{name: getattr(options, name) for name in _names(reading)})
    found = check_folder(options.folder, options.min_side, Console().watch)
    print(f"{options.folder}: {found.summary()}")
    problems = len(found.unreadable)
    for title, items in found.listings():
        print(f"{title} ({len(items)}):")
        for item in items:
            print(f"  {item}")
    for one in tasks:
        problems += _tell(one, options, said, frozenset(found.unreadable))
    if options.sheet is not None:
        found.save_sheet(options.sheet)
        print(f"contact sheet: {options.sheet}")
    return 1 if problems or not found.readable else 0


def _task(argv: list[str]) -> tuple[TaskSpec | None, type[Any] | None]:
    """The task that ``--task`` names, and the class of the options that only it takes.

    Raises:
        UsageError: no such task, or an option of a task that is not named.
    """
    from advtasks.plugins import plugins, resolve

    parser = Flags("advtasks data check")
    parser.add_argument("--task")
    known, rest = parser.parse_known_args(argv)
    spec = plugins().find("tasks", known.task).spec if known.task else None
    reading = resolve(spec.reading) if spec and spec.reading else None
    for flag in rest:
        name = flag.partition("=")[0].removeprefix("--").replace("-", "_").removeprefix("no_")
        if not flag.startswith("--") or name in {"help", *_names(Data), *(_names(reading) if reading else ())}:
            continue
        every = [one.spec for one in plugins().provided("tasks").values()]
        if takers := [one.name for one in every if name in _options_of(one)]:
            way = f"leave it out, or give --task {takers[0]}" if spec else f"give --task {takers[0]}, too"
            raise UsageError(f"{flag} is an option of the task {' and '.join(takers)}: {way}")
    return spec, reading


def _options_of(task: TaskSpec) -> set[str]:
    """How another task reads a folder; nothing of a package that is broken, which this command does not need."""
    from advtasks.plugins import resolve

    try:
        return _names(resolve(task.reading)) if task.reading else set()
    except Exception:
        return set()


def _names(kind: type[Any]) -> set[str]:
    return {field.name for field in fields(kind)}


def _tell(task: TaskSpec, options: Data, said: dict[str, Any], broken: frozenset[Path]) -> int:
    """Print what a task makes of the folder; gives the number of problems."""
    from advtasks.plugins import resolve

    name, reason, layout = task.name, "", None
    if not task.recognize:
        if options.task is not None:
            print(f"{name}: this task does not say how it reads folders")
        return 0
    try:
        layout = resolve(task.recognize)(options.folder, **said)
    except DataError as error:
        reason = f": {error}"
    except ImportError as error:  # a package that is broken stops no other task
        print(f"{name}: its package cannot be imported ({error})")
        return int(options.task is not None)
    if layout is None:
        print(f"{name}: nothing that this task can train on{reason}")
        return int(options.task is not None)
    print(f"{name}: {layout.name}: {layout.explanation}")
    for role, files in layout.roles.items():
        bad = len(broken.intersection(files))
        print(f"  {role}: {len(files) - bad}" + (f", and {bad} unreadable" if bad else ""))
    ignored = [path for path in layout.ignored if path.suffix.lower() in EXTENSIONS]  # others are told above
    if ignored:
        print(f"  ignored: {len(ignored)} pictures ({few(ignored)})")
    for note in layout.notes:
        print(f"  {note}")
    for problem in layout.problems:
        print(f"  problem: {problem}")
    return len(layout.problems)
