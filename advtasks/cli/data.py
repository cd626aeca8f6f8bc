"""``advtasks data check DIR``: what is in a folder, before training finds out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


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
    sheet: Path | None = None
    """Write a contact sheet of the first 60 pictures to this file (JPEG)."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Data, prog="advtasks data", args=argv)

    from advtasks.data.check import check_folder
    from advtasks.data.layout import Layout
    from advtasks.plugins import plugins, resolve
    from advtasks.training.progress import Console

    provided = plugins().provided("tasks")
    if options.task is not None:
        provided = {options.task: plugins().find("tasks", options.task)}
    found = check_folder(options.folder, options.min_side, Console().watch)
    print(f"{options.folder}: {found.summary()}")
    problems = len(found.unreadable)
    for title, items in found.listings():
        print(f"{title} ({len(items)}):")
        for item in items:
            print(f"  {item}")
    for name, task in provided.items():
        if options.task is None and not task.spec.needs_data:
            continue
        layout: Layout | None = resolve(task.spec.recognize)(options.folder) if task.spec.recognize else None
        if layout is None:
            print(f"{name}: nothing that this task can train on")
            problems += options.task is not None
            continue
        print(f"{name}: {layout.name}: {layout.explanation}")
        for role, files in layout.roles.items():
            print(f"  {role}: {len(files)}")
        for problem in layout.problems:
            print(f"  problem: {problem}")
        problems += len(layout.problems)
    if options.sheet is not None:
        found.save_sheet(options.sheet)
        print(f"contact sheet: {options.sheet}")
    return 1 if problems or not found.readable else 0
