"""What each rank of test_ranks_train.py runs: short trainings of every task with every part, on its rows of each batch."""

from __future__ import annotations

import copy
import dataclasses
import functools
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from ranks_rows import PIECES, STEEP, Row, configuration, in_both, named, rows, without_part
from ranks_shares import LIVES, SHARED, in_shares

from advtasks import components
from advtasks.distributed import rank
from advtasks.process_group import joined
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.clock import peak_memory
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console


def keep_frozen_networks() -> None:
    """Read each network that measures once, not in every row."""
    build = components.build
    kept = functools.cache(lambda text: build("features", text))
    components.build = lambda group, text, **options: (
        kept(text) if group == "features" and not options else build(group, text, **options)
    )


class Logged:
    """A tracker that keeps what was measured in each step, but for times and memory."""

    def __init__(self) -> None:
        self.values: dict[str, torch.Tensor] = {}
        self.memory = 0.0

    def record(self, values: dict[str, Any]) -> None:
        if values["kind"] == "train":
            self.memory = values["memory_gib"]
            measured = {k: v for k, v in values.items() if isinstance(v, float) and not k.startswith(UNMEASURED)}
            self.values.update({f"{values['step']}.{name}": torch.tensor(v) for name, v in measured.items()})

    def rewind(self, step: int) -> None:
        pass

    def close(self) -> None:
        pass


UNMEASURED = ("seconds", "memory", "images")


def steepen(adversary: Any, factor: float) -> None:
    """Critics of `factor` times their first weights."""
    with torch.no_grad():
        for weight in adversary.discriminator.parameters():
            weight.mul_(factor)


def _is_steep(row: Row) -> bool:
    return row[2].partition(":")[0] == "wgan-lp"


def train(row: Row, folder: Path, part: bool = True, **changes: Any) -> dict[str, Any]:
    """The state after a few steps, that of the networks before them, and what was logged. Without `part`, what the row
    is about is left out. Raises UsageError where the task cannot serve the part."""
    config, task, splits = (configuration if part else without_part)(*row)
    config = dataclasses.replace(config, **changes)
    adversaries = make_adversaries(task, config)
    for adversary in adversaries.values():
        steepen(adversary, STEEP[row[0]] if _is_steep(row) else 1)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        checkpoints = Checkpoints(Path(place), 1)
        logged = Logged()
        trackers = [logged] if rank() == 0 else []
        trainer = Trainer(task, config, splits, adversaries, checkpoints, trackers, Console(io.StringIO()))
        before = copy.deepcopy(trainer.networks.generator.state_dict())
        critics = {view: copy.deepcopy(adversary.state_dict()) for view, adversary in adversaries.items()}
        trainer.networks.ema.ramp = 1e9  # the average follows in every second step and lets the third one wait
        trainer.train()
        state = trainer.state()
    found = {name: state[name] for name in ("generator", "ema", "adversaries")}
    return found | {
        "logged": logged.values,
        "memory": logged.memory,
        "before": {"generator": before, "adversaries": critics},
    }


def without(row: Row, folder: Path) -> dict[str, Any]:
    """See `train`; rows that differ in their part alone are trained once."""
    key = repr(without_part(*row)[0]) + str(_is_steep(row))
    if key not in KNOWN:
        KNOWN[key] = train(row, folder, part=False)
    return KNOWN[key]


KNOWN: dict[str, dict[str, Any]] = {}


def memory_of_the_larger(folder: Path) -> dict[str, float]:
    """What a run's records say where the second process takes more, beside what this process took."""
    ballast = torch.ones(rank() * 2**27)
    recorded = train(("points", "hinge", "", ""), folder)["memory"]
    return {"recorded": recorded, "own": peak_memory(ballast.device)}


def main(rank: int, ranks: int, port: str, folder: Path) -> None:
    """Run all rows on one rank and keep where they got."""
    torch.set_num_threads(1)
    keep_frozen_networks()
    if ranks > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="localhost", MASTER_PORT=port)
    with joined("cpu", 60):
        results = {named(row): train(row, folder) for row in rows()}
        if ranks > 1:
            both = {named(row): train(row, folder, accumulate=2) for row in rows() if in_both(row)}
            both["no-sync"] = train(("sr", "batch-norm", "", ""), folder, sync_batch_norm=False)
            torch.save(both, folder / f"both-{rank}.pt")
            torch.save(memory_of_the_larger(folder), folder / f"memory-{rank}.pt")
            shares = {f"{text}+{life}": in_shares(text, life, folder) for text in SHARED for life in LIVES}
            torch.save(shares, folder / f"shares-{rank}.pt")
    torch.save(results, folder / f"{ranks}-{rank}.pt")
    if ranks == 1:
        pieces = {named(row): train(row, folder, accumulate=PIECES[row[0]]) for row in rows()}
        torch.save(pieces, folder / "pieces.pt")
        torch.save({named(row): without(row, folder) for row in rows()}, folder / "without.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
