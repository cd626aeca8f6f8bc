"""``--devices N`` as a user meets it: two gloo processes on one machine, killed, interrupted, resumed, sharded."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from states import difference, tensors
from trainings import finished, ranks_of, resumed, started, state, take_back, wait_for_checkpoint, wait_for_record

from advtasks.config_files import read_yaml
from advtasks.errors import TrainingError
from advtasks.run_lock import read_lock
from advtasks.training.launcher_lost import LAUNCHER, end_with_launcher

STATEFUL = (
    "--adversary.loss", "hinge", "--adversary.augments", "instance-noise,apa:p=0.1", "--adversary.regularizers",
    "lecam,r1:gamma=0.02:interval=3,historical-averaging", "--monitor", "warn", "--stages.0.schedule", "linear",
)  # fmt: skip
SHORT = ("--device", "cpu", "--log-every", "4", "--checkpoint-every", "4", "--batch", "64", "--validate-every", "10",
         "--samples", "200", "--keep-best", "high_quality")  # fmt: skip


def start(run: Path, *flags: str, devices: int = 2) -> subprocess.Popen[str]:
    several = ("--devices", devices) if devices > 1 else ()
    return started("points", "--out", run, *SHORT, *flags, *several)


def killed_and_resumed(run: Path, *flags: str) -> None:
    """Both of its processes at once."""
    process = start(run, *flags)
    wait_for_checkpoint(run, process, 8)
    for rank in ranks_of(process):
        os.kill(rank, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (run / "bundle.safetensors").exists()
    assert "going on at step" in resumed(run)


def test_a_killed_rank_stops_the_others_and_the_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    flags = ("--steps", "160", *STATEFUL)
    process = start(tmp_path / "killed", *flags)
    wait_for_checkpoint(tmp_path / "killed", process, 8)
    began = time.monotonic()
    os.kill(ranks_of(process)[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 40, "nobody waits for the dead"
    assert process.returncode == 1
    killed = re.search(r"rank (\d) was killed by signal 9", err)
    assert killed, err
    assert "Traceback" not in err
    holder = read_lock(tmp_path / "killed")
    assert holder is not None
    assert ("lost another process" in holder.end) == (killed[1] != "0"), "the first rank holds the lock"
    assert not (tmp_path / "killed" / "bundle.safetensors").exists()
    assert "going on at step" in resumed(tmp_path / "killed")
    finished(start(tmp_path / "whole", *flags))
    assert difference(state(tmp_path / "killed"), state(tmp_path / "whole")) is None
    bundles = [(tmp_path / name / "bundle.safetensors").read_bytes() for name in ("killed", "whole")]
    assert bundles[0] == bundles[1]


def alive(process: int) -> bool:
    """Whether it runs; a dead child that nobody waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_launcher_takes_its_ranks_along_and_the_run_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(run, "--steps", "4000", "--checkpoint-every", "2000", "--log-every", "2")
    wait_for_record(run, process, text='"step": 10')
    ranks = ranks_of(process)
    assert len(ranks) == 2
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while any(map(alive, ranks)):
        assert time.monotonic() < deadline, "ranks train on without their launcher"
        time.sleep(0.05)
    assert len(list(run.glob("checkpoints/step-*.json"))) == 1, "they stopped as when they are asked to"
    config = read_yaml(run / "run.yaml")
    assert config["devices"] == 2


def test_a_rank_whose_launcher_is_gone_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAUNCHER, "1" if os.getppid() != 1 else "2")
    monkeypatch.setattr("sys.platform", "other")  # this process is to outlive its own parent
    with pytest.raises(TrainingError, match="the launcher .* is gone"):
        end_with_launcher()


@pytest.mark.parametrize("devices", [1, 2])
def test_a_restart_resumes_by_itself(tmp_path: Path, devices: int) -> None:
    """Of one process, too, which is then started to be watched."""
    process = start(tmp_path / "run", "--steps", "160", "--restarts", "1", devices=devices)
    wait_for_checkpoint(tmp_path / "run", process, 8)
    os.kill(ranks_of(process)[0], signal.SIGKILL)
    assert "going on at step" in finished(process)
    assert (tmp_path / "run" / "bundle.safetensors").exists()


@pytest.mark.parametrize(
    ("number", "code", "flags"), [(signal.SIGINT, 130, ()), (signal.SIGTERM, 143, ("--workers", "1"))]
)
def test_a_signal_stops_all_processes_with_a_checkpoint(
    tmp_path: Path, number: signal.Signals, code: int, flags: tuple[str, ...]
) -> None:
    """Loader processes, which are sent it, too, do not end before the step does."""
    process = start(tmp_path / "run", "--steps", "5000", "--checkpoint-every", "4000", "--log-every", "50", *flags)
    wait_for_record(tmp_path / "run", process)
    asked = (*ranks_of(process), process.pid) if number == signal.SIGINT else (process.pid,)  # as a terminal does
    for target in asked:
        os.kill(target, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert f"advtasks train --resume {tmp_path / 'run'}" in err
    assert "loader process died" not in err
    assert "Traceback" not in err
    assert len(list((tmp_path / "run").glob("checkpoints/step-*.json"))) == 1
    holder = read_lock(tmp_path / "run")
    assert holder is not None
    assert "stopped" in holder.end


def test_what_goes_wrong_on_all_ranks_is_said_once(tmp_path: Path) -> None:
    process = start(tmp_path / "run", "--steps", "20", "--stages.0.learning-rate", "1e30")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("advtasks: ") == err.count("is not finite at step") == 1, err


def test_a_shared_generator_trains_alike_and_moves_between_numbers_of_processes(tmp_path: Path) -> None:
    flags = ("--steps", "16", "--adversary.regularizers", "r1:gamma=0.02,path-length:every=2", "--optimizer",
             "adamw:weight_decay=0.1", "--clip-norm", "0.05", "--accumulate", "2")  # fmt: skip
    finished(start(tmp_path / "whole", *flags))
    finished(start(tmp_path / "shared", "--shard-generator", *flags))
    from safetensors.torch import load_file

    whole, shared = (load_file(tmp_path / name / "bundle.safetensors") for name in ("whole", "shared"))
    for name, value in whole.items():
        torch.testing.assert_close(shared[name], value, rtol=0, atol=1e-5, msg=name)
    assert (tmp_path / "shared" / "checkpoints" / "step-00000016.shards").is_dir()
    for devices in ("2", "1"):
        again = tmp_path / f"again-{devices}"
        subprocess.run(["cp", "-r", tmp_path / "shared", again], check=True)
        for path in [*again.glob("checkpoints/step-00000016.[jp]*"), again / "bundle.safetensors"]:
            path.unlink()
        assert "going on at step 12" in resumed(again, "--devices", devices)
        found = load_file(again / "bundle.safetensors")
        for name, value in shared.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=0 if devices == "2" else 1e-5, msg=name)


@pytest.mark.slow
def test_a_shared_generator_outlives_a_kill_bit_for_bit(tmp_path: Path) -> None:
    flags = ("--steps", "120", "--shard-generator", "--optimizer", "rmsprop")
    killed_and_resumed(tmp_path / "killed", *flags)
    finished(start(tmp_path / "whole", *flags))
    bundles = [(tmp_path / name / "bundle.safetensors").read_bytes() for name in ("killed", "whole")]
    assert bundles[0] == bundles[1]


def test_a_signal_to_a_slurm_step_is_answered_by_all_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost"}
    flags = ("--steps", "5000", "--checkpoint-every", "4000", "--log-every", "50")
    processes = []
    for rank in "01":
        for name, value in {**step, "SLURM_PROCID": rank, "SLURM_LOCALID": rank}.items():
            monkeypatch.setenv(name, value)
        processes.append(start(tmp_path / "run", *flags, devices=1))
    wait_for_record(tmp_path / "run", *processes)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    told = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], told
    assert [text.count(f"advtasks train --resume {tmp_path / 'run'}") for text in told] == [1, 0]
    assert len(list((tmp_path / "run").glob("checkpoints/step-*.json"))) == 1


def test_a_run_goes_on_with_processes_whose_agents_count_restarts_differently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(start(tmp_path / "run", "--steps", "8", devices=1))
    take_back(tmp_path / "run")
    kept = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    agent = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(kept.port),
             "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": "7"}  # fmt: skip
    processes = []
    for rank in "01":
        for name, value in {**agent, "RANK": rank, "LOCAL_RANK": rank, "TORCHELASTIC_RESTART_COUNT": rank}.items():
            monkeypatch.setenv(name, value)
        processes.append(start(tmp_path / "run", "--steps", "8", devices=1))
    told = [finished(process) for process in processes]
    assert "going on at step 4" in told[0]
    assert (tmp_path / "run" / "bundle.safetensors").exists()


def test_what_cannot_be_shared_is_refused(advtasks, tmp_path: Path) -> None:
    for flags, message in (
        (("--devices", "3", "--batch", "64"), "cannot be shared equally by 3 processes"),
        (("--shard-generator", "--optimizer", "lion"), "not known to work on shares"),
    ):
        code, _, err = advtasks("train", "points", "--out", tmp_path / "run", *SHORT, *flags)
        assert (code, err.count(message)) == (2, 1), err
        assert not (tmp_path / "run").exists()


def test_what_all_ranks_refuse_is_said_once(tmp_path: Path) -> None:
    """Also where they might be started again."""
    process = start(tmp_path / "run", "--restarts", "2", "--adversary.discriminator", "patch")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert err.count("cannot judge points pictures of") == 1, err
    assert not (tmp_path / "run").exists()


def test_under_torchrun_nothing_is_forked_and_a_restarted_run_goes_on(tmp_path: Path) -> None:
    """One process of two that the options name, killed once."""
    flags = ["train", "points", "--out", str(tmp_path / "run"), *SHORT, "--steps", "160", "--devices", "2"]
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1", "--max-restarts", "1",
                "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "advtasks.cli.main")  # fmt: skip
    process = started(*flags, command=torchrun)
    wait_for_checkpoint(tmp_path / "run", process, 8)
    holder = read_lock(tmp_path / "run")
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    err = finished(process)
    assert err.count("a launcher started 1 processes, so devices: 2 is not used") == 2, err
    assert "going on at step" in err
    assert "2 processes, each" not in err
    assert (tmp_path / "run" / "bundle.safetensors").exists()


def test_an_error_of_one_rank_ends_all_with_its_cause(tmp_path: Path) -> None:
    """The first rank finds nothing to train on; the other does not wait, and says nothing more. It would be the same
    again."""
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "advtasks.cli.main", "train", "sr", "--data", str(tmp_path / "empty"), "--device",
               "cpu", "--out", str(tmp_path / "run"), "--devices", "2", "--batch", "4", "--restarts", "1"]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert found.stderr.count("advtasks: ") == found.stderr.count("no pictures") == 1, found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "run").exists(), "the same command can be given again"


def test_a_damaged_picture_holds_up_neither_rank(tmp_path: Path, photos: Path, tiny: tuple[str, ...]) -> None:
    """Its head is whole, so it is found when a rank draws it; another one takes its place."""
    whole = (photos / "picture-3.png").read_bytes()
    (photos / "picture-3.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "held-out").mkdir()
    held = [whole, *((photos / f"picture-{number}.png").read_bytes() for number in range(2))]
    for number, content in enumerate(held):
        (tmp_path / "held-out" / f"{number}.png").write_bytes(content)
    err = finished(
        started("sr", "--data", photos, "--out", tmp_path / "run", "--validation", tmp_path / "held-out", "--devices", "2",
                "--cache-gib", "0", "--steps", "4", *tiny)
    )  # fmt: skip
    assert re.search(r"skipped  .*picture-3\.png", err), err
    assert (tmp_path / "run" / "bundle.safetensors").exists()
    shown = [np.asarray(Image.open(tmp_path / f"run/pictures/{number}/original.png")) for number in range(3)]
    own = [np.asarray(Image.open(io.BytesIO(content))) for content in held]
    assert all(map(np.array_equal, shown, own)), "those that the other rank measured, too"


def test_the_balance_of_began_outlives_a_kill_of_both_processes(tmp_path: Path) -> None:
    """With both phases on one pass of the critic."""
    flags = ("--steps", "120", "--adversary.loss", "began:rate=0.1", "--adversary.discriminator", "mlp-autoencoder",
             "--adversary.regularizers", "", "--adversary.updates", "simultaneous")  # fmt: skip
    killed_and_resumed(tmp_path / "killed", *flags)
    finished(start(tmp_path / "whole", *flags))
    killed, whole = state(tmp_path / "killed"), state(tmp_path / "whole")
    (balance,) = (value for name, value in whole["adversaries"]["points"].items() if name.endswith("loss.k"))
    assert balance > 0, "k has moved"
    assert difference(killed, whole) is None


def test_two_processes_equal_one_and_each_goes_on_as_the_other(tmp_path: Path) -> None:
    """One process goes on as two from its step 20, and two as one, to where they would have come."""
    fast = ("--stages.0.learning-rate", "0.2", "--adversary.learning-rate", "0.05")
    flags = ("--steps", "24", "--optimizer", "sgd", "--adversary.optimizer", "sgd", *STATEFUL, *fast)
    runs = {2: tmp_path / "two", 1: tmp_path / "one"}
    for devices, run in runs.items():
        finished(start(run, *flags, devices=devices))
    ends = {"whole": state(runs[1]), "two": state(runs[2])}
    for began, run in runs.items():
        again = tmp_path / f"again-{began}"
        subprocess.run(["cp", "-r", run, again], check=True)
        for path in [*again.glob("checkpoints/step-00000024.*"), again / "bundle.safetensors"]:
            path.unlink()
        before = state(again)
        assert "going on at step 20" in resumed(again, "--devices", str(3 - began))
        ends[f"{began} to {3 - began}"] = state(again)
    for part, moves in (("generator", 1e-3), ("ema", 1e-4), ("adversaries", 1e-3)):
        whole, earlier = (tensors(found[part]) for found in (ends["whole"], before))
        assert max((whole[name] - earlier[name]).abs().max() for name in whole) > moves
        for kind, end in ends.items():
            for name, value in tensors(end[part]).items():
                torch.testing.assert_close(value, whole[name], rtol=1e-5, atol=1e-5, msg=f"{kind}: {part}.{name}")
    for end in ends.values():
        assert end["best"] == ends["whole"]["best"]
    records = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["kind"] == "train"] == [4, 8, 12, 16, 20, 24], "one rank writes"


def test_of_two_that_begin_at_once_in_one_folder_one_trains(tmp_path: Path) -> None:
    flags = ("--steps", "40", "--validate-every", "100")
    both = [start(tmp_path / "run", *flags, "--seed", seed) for seed in "12"]
    errors = [process.communicate(timeout=180)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], errors
    assert (tmp_path / "run/bundle.safetensors").exists()
    assert "holds a run" in errors[both[0].returncode == 0]
    assert (tmp_path / "run/run.yaml").stat().st_size > 0
