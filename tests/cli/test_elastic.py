"""torchrun over a number of hosts that changes; its agents are two of one machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trainings import started, wait_for_checkpoint

from advtasks.run_lock import read_lock


def agent(run: Path, port: int) -> subprocess.Popen[str]:
    """One host's torchrun, of one or two hosts."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nnodes", "1:2", "--nproc-per-node", "1",
                "--max-restarts", "3", "--rdzv-id", "job", "--rdzv-backend", "c10d", "--rdzv-endpoint",
                f"127.0.0.1:{port}", "--local-addr", "127.0.0.1", "--rdzv-conf", "last_call_timeout=2",
                "--monitor-interval", "0.5", "-m", "advtasks.cli.main")  # fmt: skip
    return started("train", "points", "--out", run, "--device", "cpu", "--batch", "64", "--steps", "2500",
                   "--checkpoint-every", "50", "--log-every", "50", "--validate-every", "5000", "--samples", "200",
                   "--auto-resume", command=torchrun)  # fmt: skip


def trainer_of(run: Path) -> int:
    """The first rank's process."""
    holder = read_lock(run)
    assert holder is not None
    return holder.pid


@pytest.mark.slow
def test_a_host_joins_and_is_lost_and_the_run_goes_on_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1"
    )  # else torch 2.13 lets a host that joins wait for ever
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    run = tmp_path / "run"
    first = agent(run, port)
    wait_for_checkpoint(run, first, 50)
    alone, second = trainer_of(run), agent(run, port)
    while trainer_of(run) == alone:
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.1)
    stopped = int(max(run.glob("checkpoints/step-*.json")).stem[5:])
    wait_for_checkpoint(run, first, stopped + 50)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(second.pid)], capture_output=True, text=True, check=True
    )
    for pid in (second.pid, *map(int, children.stdout.split())):
        os.kill(pid, signal.SIGKILL)
    second.communicate()
    _, err = first.communicate(timeout=180)
    assert first.returncode == 0, err
    assert err.count("going on at step") == 2, err
    assert err.count("points: generator") == 3
    assert err.count("2 processes, each") == 1
    assert (run / "bundle.safetensors").exists()
