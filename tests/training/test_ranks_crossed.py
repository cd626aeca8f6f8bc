"""World-size equality of every task x loss x regularizer, lazy phases included: a slow proof, run by
``python -m pytest -m slow tests/training/test_ranks_crossed.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from states import tensors
from test_ranks_train import HERE, distance, free_port

LEAST = {"points": 600, "sr": 500, "pix2pix": 450, "text2image": 600}
"""Rows that are trained, at least; the others the task refuses."""
LEAST_MOVED = 5e-6
"""Five times what is told apart."""


@pytest.mark.slow
@pytest.mark.parametrize("task", LEAST)
def test_two_ranks_train_as_one_process(task: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, HERE / "ranks_crossed.py"]
    processes = [
        subprocess.Popen([*command, str(rank), str(ranks), port, str(tmp_path), task], cwd=HERE)
        for rank, ranks in ((0, 1), (0, 2), (1, 2))
    ]
    assert [process.wait(1800) for process in processes] == [0, 0, 0]
    whole, first, second = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1"))
    trained = [name for name, state in whole.items() if not isinstance(state, str)]
    assert len(trained) >= LEAST[task]
    wrong = {name: text for name in whole if (text := _wrong(whole[name], first[name], second[name]))}
    assert not wrong


def _wrong(whole: Any, first: Any, second: Any) -> str:
    if isinstance(whole, str):
        return "" if whole == first == second else f"refused by one process ({whole}), not by two"
    one, both, other = tensors(whole), tensors(first), tensors(second)
    if one.keys() != both.keys():
        return "other parts"
    if not all(torch.equal(value, other[key]) for key, value in both.items()):
        return "the ranks differ"
    for part in ("generator", "adversaries"):
        moved = max(distance(one[key], one[f"before.{key}"]) for key in one if key.startswith(f"{part}."))
        if moved < LEAST_MOVED:
            return f"the {part} moved by {moved:.1e}, and the comparison would notice nothing"
    key, worst = max(((key, distance(value, both[key])) for key, value in one.items()), key=lambda found: found[1])
    return "" if worst <= 1e-6 else f"{key} differs by {worst:.1e}"
