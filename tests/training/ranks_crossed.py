"""What each rank of test_ranks_crossed.py runs: every loss of a task with every regularizer, lazy where it may be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ranks_rows import FAST, OPTIONS, SLOW, STEEP, Row, is_refused, named
from ranks_train import keep_frozen_networks, train

from advtasks import components
from advtasks.components import provided
from advtasks.errors import Diverged, UsageError
from advtasks.process_group import joined

SLOW.add("unrolled")
OPTIONS["unrolled"] = "unrolled:steps=1"  # steep losses amplify roundings with each step that they train a critic ahead
FAST["sr"] = (5e-3, 1e-3)  # the steep ones of all losses would amplify roundings of larger steps
STEEP.update(dict.fromkeys(STEEP, 1.0))  # and those of steeper critics: wgan-lp is at work in test_ranks_train.py


def crossed(task: str) -> Iterator[Row]:
    """Without the regularizers that the task refuses with any loss."""
    for loss in provided("losses"):
        for name in provided("regularizers"):
            lazy = "interval" in components.arguments("regularizers", name)
            row = (task, loss, f"{name}:interval=2" if lazy else name, "")
            if not is_refused(row):
                yield row


def ends(row: Row, folder: Path) -> dict[str, Any] | str:
    """The state after three steps, or why there is none: refused, or where it went to infinity."""
    try:
        state = train(row, folder)
    except (Diverged, UsageError) as error:
        return str(error)
    return {name: state[name] for name in ("generator", "ema", "adversaries", "before")}


def main(rank: int, ranks: int, port: str, folder: Path, task: str) -> None:
    """Run all rows on one rank and keep where they got."""
    torch.set_num_threads(1)
    keep_frozen_networks()
    if ranks > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="localhost", MASTER_PORT=port)
    with joined("cpu", 60):
        torch.save({named(row): ends(row, folder) for row in crossed(task)}, folder / f"{ranks}-{rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5])
