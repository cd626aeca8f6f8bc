"""Whole training steps, for every task, loss, regularizer and augment: two ranks with four samples each, or two or four
pieces, do what one process does with eight."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_rows import Row, every_row, in_both, is_refused, named, rows
from ranks_shares import LIVES, SHARED
from ranks_train import keep_frozen_networks, train
from states import tensors
from torch import Tensor

from advtasks import components
from advtasks.errors import UsageError

HERE = Path(__file__).parent
NAMES = [named(row) for row in rows()]
States = dict[str, dict[str, Any]]


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return str(taken.getsockname()[1])


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, States]:
    """Of one process, of both ranks, of one process in pieces, and of one without what each row is about."""
    folder, port = tmp_path_factory.mktemp("ranks"), free_port()
    processes = [
        subprocess.Popen([sys.executable, HERE / "ranks_train.py", str(rank), str(ranks), port, str(folder)], cwd=HERE)
        for rank, ranks in ((0, 1), (0, 2), (1, 2))
    ]
    assert [process.wait(600) for process in processes] == [0, 0, 0]
    return {
        name: torch.load(folder / f"{name}.pt", weights_only=True)
        for name in ("1-0", "2-0", "2-1", "pieces", "without", "both-0", "shares-0", "memory-0", "memory-1")
    }


def distance(one: Tensor, other: Tensor) -> float:
    """Of numbers that are compared to 1e-6."""
    if not one.is_floating_point() or not one.numel():
        return 0.0
    return (one - other).abs().max().item() / max(one.abs().max().item(), 1.0)


CASES = [
    *((other, name) for other in ("2-0", "pieces") for name in NAMES),
    *(("both-0", named(row)) for row in rows() if in_both(row)),
]


@pytest.mark.parametrize(("other", "name"), CASES)
def test_ranks_and_pieces_train_as_one_process(states: dict[str, States], name: str, other: str) -> None:
    whole, parts = (
        {key: value for key, value in tensors(states[kind][name]).items() if not key.startswith("logged.")}
        for kind in ("1-0", other)
    )
    assert whole.keys() == parts.keys()
    if other == "2-0":
        second = tensors(states["2-1"][name])
        assert all(torch.equal(value, second[key]) for key, value in parts.items()), "the ranks agree bit for bit"
    if other != "2-0" and ("batch-statistics" in name or name == "sr+batch-norm"):
        return  # layers that mix samples mix those of a piece
    moved = {"generator": 0.0, "adversaries": 0.0}
    for key, value in whole.items():
        part = key.split(".")[0]
        if part in moved:
            moved[part] = max(moved[part], distance(value, whole[f"before.{key}"]))
    assert min(moved.values()) > 5e-5, f"the comparison would notice nothing: {moved}"
    for key, part in parts.items():
        expected = whole[key]
        if expected.is_floating_point():
            scale = max(expected.abs().max().item(), 1.0)
            torch.testing.assert_close(
                part, expected, rtol=0, atol=1e-6 * scale, msg=lambda text, k=key: f"{k}: {text}"
            )


@pytest.mark.parametrize("name", NAMES)
def test_ranks_log_what_one_process_logs(states: dict[str, States], name: str) -> None:
    """Every term, logit, accuracy, gradient norm and the diversity of the batch, over all ranks."""
    whole, both = (states[kind][name]["logged"] for kind in ("1-0", "2-0"))
    assert whole.keys() == both.keys()
    assert any(key.endswith("discriminator") for key in whole)
    for key, value in whole.items():
        torch.testing.assert_close(both[key], value, rtol=1e-4, atol=1e-5, msg=lambda text, k=key: f"{k}: {text}")


def test_batch_norm_that_is_not_synchronized_is_averaged_at_checkpoints(states: dict[str, States]) -> None:
    """Ranks measure different means, and the comparison before each checkpoint still passes."""
    together, apart = (tensors(states[kind][name]) for kind, name in (("2-0", "sr+batch-norm"), ("both-0", "no-sync")))
    means = [key for key in together if key.endswith("running_mean") and key.startswith("adversaries")]
    assert means
    for key in means:
        assert not torch.equal(together[key], apart[key])
        torch.testing.assert_close(together[key], apart[key], rtol=0.1, atol=0.05)


def test_the_memory_recorded_is_that_of_the_largest_process(states: dict[str, Any]) -> None:
    first, second = states["memory-0"], states["memory-1"]
    assert second["own"] > first["own"] + 0.3
    assert first["recorded"] == pytest.approx(second["own"], abs=0.05)


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("text", SHARED)
def test_a_generator_in_shares_trains_as_a_whole_one(states: dict[str, States], text: str, life: float) -> None:
    """Blocks of every kind, and an average that waits or is made when it is asked for (half-life 0)."""
    whole, shared = (tensors(state) for state in states["shares-0"][f"{text}+{life}"])
    assert whole.keys() == shared.keys()
    for key, value in whole.items():
        torch.testing.assert_close(shared[key], value, rtol=0, atol=1e-6, msg=lambda message, k=key: f"{k}: {message}")
    network, average = ([v for k, v in shared.items() if k.startswith(part)] for part in ("generator.", "average."))
    assert all(map(torch.equal, network, average)) == (life == 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_comparison_would_notice_if_the_part_were_dropped(states: dict[str, States], name: str) -> None:
    """Without what a row is about, its weights end far from where they end with it."""
    apart = {}
    for part in ("generator", "adversaries"):
        one, other = (tensors(states[kind][name][part]) for kind in ("1-0", "without"))
        common = (key for key, value in one.items() if key in other and other[key].shape == value.shape)
        apart[part] = max((distance(one[key], other[key]) for key in common), default=0.0)
    of_a_loss = name.count("+") == 1  # its critic moves without its term, too
    assert (apart["generator"] if of_a_loss else max(apart.values())) > 1e-5, apart


@pytest.fixture(scope="module")
def frozen_networks() -> Iterator[None]:
    """Read once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(components, "build", components.build)
        keep_frozen_networks()
        yield


@pytest.mark.usefixtures("frozen_networks")
@pytest.mark.parametrize("row", [row for row in every_row() if is_refused(row)], ids=named)
def test_a_part_that_a_task_cannot_serve_is_refused(row: Row, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=(row[2] + row[3]).partition(":")[0]):
        train(row, tmp_path)
