"""What launchers say in the environment: torchrun, SLURM, Kubernetes or ``--devices N``. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from advtasks.errors import UsageError


@dataclass(frozen=True)
class Place:
    """Who this process is among those that were started together."""

    rank: int
    ranks: int
    local_rank: int
    """Among the processes of this host: the number of its GPU."""


def place(environment: Mapping[str, str]) -> Place | None:
    """What the launcher said; None for a single process. Sets nothing.

    Understands ``RANK``, ``WORLD_SIZE`` and ``LOCAL_RANK`` (torchrun; Kubernetes' PyTorchJob with a process a pod) and
    the variables of a SLURM step (``srun``).

    Raises:
        UsageError: what it said is incomplete, no number, or meant for torchrun.
    """

    def number(name: str, default: str | None = None) -> int:
        text = environment.get(name, default)
        try:
            return int(text if text is not None else "")
        except ValueError:
            raise UsageError(f"{name}={text!r} in the environment is no number; the launcher sets it") from None

    several = number("WORLD_SIZE", "1") > 1
    _check_pod(environment, several)
    if several and "RANK" in environment:
        return Place(number("RANK"), number("WORLD_SIZE"), number("LOCAL_RANK", "0"))
    tasks = number("SLURM_STEP_NUM_TASKS", "1")
    if tasks > 1 and "SLURM_PROCID" in environment:
        return Place(number("SLURM_PROCID"), tasks, number("SLURM_LOCALID", "0"))
    if several:
        raise UsageError("WORLD_SIZE is in the environment and RANK is not: give both, or neither")
    return None


def _check_pod(environment: Mapping[str, str], several: bool) -> None:
    """Kubernetes describes pods of several processes, and a TrainJob any, to torchrun alone (``PET_...``). Taken for
    one of them, this process would wait for ranks that nobody starts, or train as if the other pods were not there.

    Raises:
        UsageError: it does so here.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        return
    for name, misleads in (("PET_NPROC_PER_NODE", several), ("PET_NNODES", not several)):
        text = environment.get(name, "")
        if misleads and text.isdigit() and int(text) > 1:
            raise UsageError(
                f"{name}={text} in the environment is said to torchrun, which starts a pod's processes: use "
                "'torchrun -m advtasks.cli.main train ...' as the pod's command"
            )


def launched(environment: Mapping[str, str]) -> bool:
    """Whether a launcher started this process, perhaps alone (``torchrun --nproc-per-node 1``): it starts no others."""
    return place(environment) is not None or "TORCHELASTIC_RUN_ID" in environment


def restarted(environment: Mapping[str, str]) -> bool:
    """Whether an elastic launcher started this process again, or SLURM its job (``--requeue``)."""
    counts = (environment.get(name, "0") for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))
    return any(count not in ("", "0") for count in counts)


def own_gpu(local_rank: int, seen: int, environment: Mapping[str, str]) -> int:
    """The number of this process's GPU among those that it sees. SLURM may show each task its own alone
    (``--gpus-per-task 1``).

    Raises:
        UsageError: there are more processes than GPUs.
    """
    if seen == 1 and environment.get("SLURM_LOCALID") == str(local_rank):  # torchrun in a SLURM step counts by itself
        return 0
    if local_rank >= seen:
        raise UsageError(
            f"{local_rank + 1} processes or more on a host with {seen} GPUs: start as many as there are GPUs, or use "
            "--device cpu"
        )
    return local_rank


def first_host(nodes: str) -> str:
    """The first host of a SLURM node list such as ``gpu[03-07,9],cpu1``."""
    name, bracket, rest = nodes.partition("[")
    return name + re.split(r"[-,\]]", rest)[0] if bracket and "," not in name else nodes.split(",")[0]


def complete(environment: MutableMapping[str, str], here: Place) -> None:
    """What torch reads and SLURM does not set."""
    for name, value in (("RANK", here.rank), ("WORLD_SIZE", here.ranks), ("LOCAL_RANK", here.local_rank)):
        environment.setdefault(name, str(value))
    if "MASTER_ADDR" not in environment:
        environment["MASTER_ADDR"] = first_host(environment.get("SLURM_STEP_NODELIST", "localhost"))
    job, step = (int(environment.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    environment.setdefault("MASTER_PORT", str(15000 + (job + 4099 * step) % 20000))  # steps of a job may run at once
