"""Processes that train together: waiting in vain, drifting apart, one that fails."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from test_ranks_train import free_port
from torch import nn

from advtasks.attempts import attempt
from advtasks.errors import UsageError
from advtasks.launchers import Place
from advtasks.layers import SynchronizedBatchNorm, synchronize_batch_norm
from advtasks.process_group import Agreement, _check_gpus, from_first, gathered

HERE = Path(__file__).parent


def test_two_processes_on_one_gpu_are_told() -> None:
    _check_gpus([None, None])
    _check_gpus(["a", "b"])
    with pytest.raises(UsageError, match=r"ranks 1 and 3 use the same GPU \(b\): .*--gpus-per-task 1"):
        _check_gpus(["a", "b", "c", "b"])


def test_one_process_is_its_own_group() -> None:
    assert from_first(lambda: 3) == 3
    assert gathered("x") == ["x"]
    agreement = Agreement()
    assert [agreement.any_raised(flag) for flag in (False, True)] == [False, True]


_WORKER = """
import os, sys, time
import torch, torch.distributed as dist
from advtasks.distributed import all_mean, rank
from advtasks.errors import DataError, TrainingError, UsageError
from advtasks import process_group
from advtasks.process_group import Agreement, FirstRankFailed, from_first, gathered, joined
from advtasks.task import Splits
from advtasks.training.consistency import check_ranks_agree, check_same_data

case, number, port = sys.argv[1], sys.argv[2], sys.argv[3]
if case == "slurm":
    os.environ.update(SLURM_PROCID=number, SLURM_STEP_NUM_TASKS="2", SLURM_LOCALID=number, SLURM_JOB_ID="7",
                      SLURM_STEP_ID=str(os.getppid() % 4), SLURM_STEP_NODELIST="localhost")
else:
    os.environ.update(RANK=number, WORLD_SIZE="2", MASTER_ADDR="localhost", MASTER_PORT=port)
if case == "agents":
    os.environ.update(TORCHELASTIC_USE_AGENT_STORE="True", TORCHELASTIC_RESTART_COUNT=number)
try:
    with joined("cpu", 4):
        if case in ("hang", "hang-in-validation") and rank() == 1:
            time.sleep(20)
        if case == "hang-in-validation":
            gathered(rank(), patient=False)
        if case == "hang":
            all_mean(torch.ones(1))
        if case.startswith("dead"):
            if rank() == int(case[-1]):
                os._exit(9)
            for _ in range(100):
                all_mean(torch.ones(1))
        if case == "error":
            for step in range(100):
                if rank() == 1 and step == 3:
                    raise DataError("this rank's file is damaged")
                all_mean(torch.ones(1))
        if case.startswith("drift"):
            parts = {"tensor": {"b": torch.ones(2) * rank()}, "batch": {"b": (torch.ones(2) * rank(), 3)}, "number": {"b": rank()}}
            state = {"generator": {"a": torch.ones(3), **parts[case[6:]]}, "ema": {}, "adversaries": {}, "stage": {}}
            check_ranks_agree(state, 7)
        if case == "data":
            check_same_data(Splits(range(8 + rank()), [0], fingerprint="x"))
        if case == "contents":
            check_same_data(Splits(range(8), [0], fingerprint=f"x{rank()}"))
        if case == "first":
            process_group._ASKING = 40.0
            from_first(lambda: (_ for _ in ()).throw(UsageError("a mistake")))
        if case in ("talk", "slurm", "agents"):
            assert from_first(lambda: [rank(), "said"]) == [0, "said"]
            assert gathered(rank()) == [0, 1]
            check_same_data(Splits(range(8), [0], fingerprint="x"))
            agreement = Agreement()
            heard = [agreement.any_raised(rank() == 1 and step == 2) for step in range(5)]
            assert heard == [False, False, False, True, False], heard
            print("ok")
except FirstRankFailed as error:
    os._exit(error.exit_code)
except (DataError, TrainingError, UsageError) as error:
    print(error)
    os._exit(3)
"""


def pair(case: str, port: str = "") -> tuple[list[int], list[str], float]:
    port, start = port or free_port(), time.monotonic()
    command = [sys.executable, "-c", _WORKER, case]
    processes = [
        subprocess.Popen([*command, str(rank), port], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    out = processes[0].communicate(timeout=60)[0]
    seconds = time.monotonic() - start
    if case.startswith("hang"):
        processes[1].kill()
    outputs = [out, processes[1].communicate(timeout=60)[0]]
    return [process.returncode for process in processes], outputs, seconds


@pytest.mark.parametrize("case", ["talk", "slurm"])
def test_they_talk(case: str) -> None:
    """By torchrun's words, and by those of a SLURM step, which leaves the meeting place to us."""
    codes, outputs, _ = pair(case)
    assert codes == [0, 0]
    assert outputs == ["ok\n", "ok\n"]


def test_processes_of_several_agents_meet_whatever_their_counts_of_restarts() -> None:
    """In a store that an agent keeps, where dead processes have left what they said."""
    kept = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    kept.set("answer to answered", "a first rank that died")
    for name in ("unanswered", "answered"):  # a rank that died, too
        kept.set("question of 1", name)
        codes, outputs, _ = pair("agents", str(kept.port))
        assert (codes, outputs) == ([0, 0], ["ok\n", "ok\n"])


def test_a_rank_that_starts_again_while_another_is_missing_is_answered() -> None:
    store, soon = torch.distributed.HashStore(), timedelta(seconds=20)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(attempt, store, Place(0, 3, 0), soon)
        names = [attempt(store, Place(number, 3, number), soon) for number in (1, 1, 2)]
        assert {*names} == {first.result()}


def test_who_did_not_come_is_named() -> None:
    for number, message in ((0, "rank 1, 2 did not come within"), (1, "the first rank did not answer within")):
        with pytest.raises(RuntimeError, match=message):
            attempt(torch.distributed.HashStore(), Place(number, 3, number), timedelta(seconds=0.1))


@pytest.mark.parametrize("case", ["hang", "hang-in-validation"])
def test_a_process_that_hangs_is_given_up_after_the_timeout(case: str) -> None:
    codes, outputs, seconds = pair(case)
    assert codes[0] == 3
    assert "rank 0 of 2 lost another process" in outputs[0]
    assert 4 <= seconds < 18, "the timeout was four seconds, the other slept for twenty"


@pytest.mark.parametrize("dead", [0, 1])
def test_a_process_that_dies_is_noticed_at_once(dead: int) -> None:
    """And told in one line, also when the store went with it."""
    codes, outputs, seconds = pair(f"dead-{dead}")
    assert codes[dead] == 9
    assert codes[1 - dead] == 3
    assert f"rank {1 - dead} of 2 lost another process" in outputs[1 - dead]
    assert "Exception raised from" not in outputs[1 - dead]
    assert seconds < 15


def test_an_error_of_a_later_rank_is_said_there_and_ends_the_first_one_at_once() -> None:
    codes, outputs, seconds = pair("error")
    assert codes == [3, 3]
    assert "rank 0 of 2 lost another process, which has said above why it stopped" in outputs[0]
    assert outputs[1] == "this rank's file is damaged\n"
    assert seconds < 15


@pytest.mark.parametrize(("kind", "name"), [("tensor", "b"), ("batch", "b.0"), ("number", "b")])
def test_ranks_that_drift_apart_stop_with_the_values_name(kind: str, name: str) -> None:
    """Also where it is one of several that a part keeps together, or no tensor."""
    codes, outputs, _ = pair(f"drift-{kind}")
    assert sorted(codes) == [1, 3]
    said, silent = outputs if codes[0] == 3 else outputs[::-1]
    assert f"step 7: the ranks have drifted apart, first in generator.{name}. " in said
    assert silent == "", "all find it, and one says it"


@pytest.mark.parametrize(
    ("case", "found"),
    [("data", "9 items to train on and 1 to validate on, the first one 8 and 1"),
     ("contents", "as many items as the first one (8 and 1), but not the same")],
)  # fmt: skip
def test_processes_that_find_other_data_do_not_train(case: str, found: str) -> None:
    """Each draws its part of one order: with other lists some samples would come twice and others never."""
    codes, outputs, _ = pair(case)
    assert sorted(codes) == [1, 3]
    assert f"process 1 finds {found}: all hosts need the same files" in outputs[codes.index(3)]


def test_a_mistake_of_the_first_rank_is_said_once() -> None:
    """At once, as a launcher that misses the other ranks ends this one."""
    codes, outputs, seconds = pair("first")
    assert seconds < 30
    assert codes[0] == 3
    assert outputs[0] == "a mistake\n"
    assert codes[1] == UsageError.exit_code == 2, "the others end as the first would"
    assert outputs[1] == ""


def test_synchronized_batch_norm_is_torchs_on_one_process() -> None:
    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=0.3))
    ours = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=0.3))
    ours.load_state_dict(theirs.state_dict())
    synchronize_batch_norm(ours)
    assert isinstance(ours[1], SynchronizedBatchNorm)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for training in (True, False):
        x = torch.randn(4, 2, 6, 6)
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
