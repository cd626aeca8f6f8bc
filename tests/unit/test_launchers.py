"""Who a process is among those that a launcher started."""

from __future__ import annotations

import pytest

from advtasks.errors import UsageError
from advtasks.launchers import Place, complete, first_host, own_gpu, place, restarted


def test_the_environment_of_each_launcher() -> None:
    assert place({}) is None
    assert place({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert place({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == Place(3, 8, 1)
    assert place({"RANK": "3", "WORLD_SIZE": "8"}) == Place(3, 8, 0), "Kubernetes: one process a pod"
    slurm = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "16", "SLURM_LOCALID": "1"}
    assert place(slurm) == Place(5, 16, 1)
    assert place({**slurm, "WORLD_SIZE": "16"}) == Place(5, 16, 1), "a batch script may export it"
    assert place({"SLURM_PROCID": "0", "SLURM_NTASKS": "16"}) is None, "a batch script without srun is one process"


@pytest.mark.parametrize(
    "environment",
    [{"RANK": "1", "WORLD_SIZE": "16", "PET_NPROC_PER_NODE": "8", "PET_NNODES": "2"}, {"PET_NNODES": "2"}],
    ids=["PyTorchJob", "TrainJob"],
)
def test_what_kubernetes_says_to_torchrun_is_no_process_of_ours(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="PET_N.* is said to torchrun.*'torchrun -m advtasks.cli.main train"):
        place(environment)
    assert place({**environment, "RANK": "9", "WORLD_SIZE": "16", "TORCHELASTIC_RUN_ID": "job"}) == Place(9, 16, 0)


def test_a_pod_of_one_process_needs_no_torchrun() -> None:
    pod = {"RANK": "1", "WORLD_SIZE": "4", "PET_NPROC_PER_NODE": "auto", "PET_NNODES": "4"}
    assert place(pod) == Place(1, 4, 0)
    assert place({"PET_NNODES": "1", "PET_NPROC_PER_NODE": "8"}) is None


def test_each_process_finds_itsown_gpu() -> None:
    assert own_gpu(3, 8, {}) == 3
    assert own_gpu(3, 1, {"SLURM_LOCALID": "3"}) == 0, "--gpus-per-task 1 shows each its own"
    for environment in ({}, {"SLURM_LOCALID": "2"}):
        with pytest.raises(UsageError, match="3 processes or more on a host with 2 GPUs"):
            own_gpu(2, 2, environment)
    for environment in ({}, {"SLURM_LOCALID": "0"}):
        with pytest.raises(UsageError, match="with 1 GPUs"):
            own_gpu(1, 1, environment)


def test_steps_of_one_slurm_job_meet_at_ports_of_their_own() -> None:
    ports = set()
    for job in ("7", "8"):
        for step in ("0", "1", "2"):
            environment = {"SLURM_JOB_ID": job, "SLURM_STEP_ID": step, "SLURM_STEP_NODELIST": "gpu[3-4]"}
            complete(environment, Place(1, 2, 1))
            assert environment["MASTER_ADDR"] == "gpu3"
            ports.add(int(environment["MASTER_PORT"]))
    assert len(ports) == 6
    assert min(ports) >= 15000
    assert max(ports) < 35000


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu7", "gpu7"), ("gpu[03-07,9],cpu1", "gpu03"), ("a1,b[2-3]", "a1"), ("n[12]", "n12"), ("n[5,7-9]", "n5")],
)
def test_the_first_host_of_a_node_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize("name", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_what_a_launcher_said_wrongly_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='abc' in the environment is no number"):
        place({name: "abc"})
    with pytest.raises(UsageError, match="RANK is not"):
        place({"WORLD_SIZE": "2"})


@pytest.mark.parametrize("name", ["TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"])
def test_launchers_say_that_they_start_again(name: str) -> None:
    assert [restarted({name: count}) for count in ("0", "", "1")] == [False, False, True]
    assert not restarted({})
