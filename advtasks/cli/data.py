"""``advtasks data check DIR``: what is in a folder, before training finds out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from advtasks.data.layout import Layout
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
    """Only the layout of this task; by default of every task that knows the folder."""
    min_side: int = 128
    """Pictures with a shorter side are listed as small: a task may not be able to cut a training patch from them."""
    captions: Literal["auto", "names"] = "auto"
    """As in training on captions: auto: what lies beside the pictures; names: red_apple.png is a red apple."""
    encoder: str = ""
    """Count the captions that are longer than this text encoder takes: minilm, transformers:model=FOLDER."""
    layout: Literal["auto", "ab", "pictures"] = "auto"
    """Of pairs, as in their training; so are the next four."""
    input_kind: Literal["auto", "picture", "labels"] = "auto"
    """What inputs are."""
    target_kind: Literal["auto", "picture", "labels"] = "auto"
    """What targets are."""
    classes: int = 0
    """Of label maps."""
    ignore_label: int | None = None
    """Number of pixels that are of no class."""
    sheet: Path | None = None
    """Write a contact sheet of the first 60 pictures to this file (JPEG)."""


_OF_TASKS = ("captions", "encoder", "layout", "input_kind", "target_kind", "classes", "ignore_label")
"""Options that tasks may take."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Data, prog="advtasks data", args=argv)

    from advtasks.data.check import check_folder
    from advtasks.plugins import plugins
    from advtasks.training.progress import Console

    provided = plugins().provided("tasks")
    if options.task is not None:
        provided = {options.task: plugins().find("tasks", options.task)}
    tasks = [one.spec for one in provided.values() if options.task is not None or one.spec.needs_data]
    recognizers = {spec.name: _recognizer(spec, options) for spec in tasks}
    found = check_folder(options.folder, options.min_side, Console().watch)
    print(f"{options.folder}: {found.summary()}")
    problems = len(found.unreadable)
    for title, items in found.listings():
        print(f"{title} ({len(items)}):")
        for item in items:
            print(f"  {item}")
    for name, recognize in recognizers.items():
        problems += _tell(name, recognize, options)
    if options.sheet is not None:
        found.save_sheet(options.sheet)
        print(f"contact sheet: {options.sheet}")
    return 1 if problems or not found.readable else 0


def _recognizer(spec: TaskSpec, options: Data) -> Callable[[Path], Layout | None]:
    """What tells a task's layout, with the options that it takes.

    Raises:
        UsageError: an option is given for one task, and that task does not take it.
    """
    from advtasks.plugins import resolve

    recognize = resolve(spec.recognize) if spec.recognize else lambda folder: None
    known = inspect.signature(recognize).parameters
    given = {name: getattr(options, name) for name in _OF_TASKS}
    for name, value in given.items():
        if options.task is not None and name not in known and value != getattr(Data, name):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {value}: the task {spec.name} reads its data without that; leave it out")
    return functools.partial(recognize, **{name: value for name, value in given.items() if name in known})


def _tell(name: str, recognize: Callable[[Path], Layout | None], options: Data) -> int:
    """Print what a task makes of the folder; gives the number of problems."""
    reason = ""
    try:
        layout = recognize(options.folder)
    except DataError as error:
        layout, reason = None, f": {error}"
    if layout is None:
        print(f"{name}: nothing that this task can train on{reason}")
        return int(options.task is not None)
    print(f"{name}: {layout.name}: {layout.explanation}")
    for role, files in layout.roles.items():
        print(f"  {role}: {len(files)}")
    for note in layout.notes:
        print(f"  {note}")
    for problem in layout.problems:
        print(f"  problem: {problem}")
    return len(layout.problems)
