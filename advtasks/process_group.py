"""Several processes that train together: how they meet, agree and hand each other Python objects.

A launcher starts them and says who is who (:mod:`advtasks.launchers`); nothing here starts a process.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from advtasks.attempts import attempt
from advtasks.causes import said
from advtasks.distributed import rank, world_size
from advtasks.errors import AdvtasksError, TrainingError, UsageError
from advtasks.launchers import Place, complete, own_gpu, place

Result = TypeVar("Result")

_PATIENT = timedelta(hours=24)
"""How long the others wait for one that decodes pictures or writes files; one that dies is noticed at once."""
_ASKING = 1.0
"""Seconds that the first rank waits for the others when something went wrong."""
_MEET = "See that all were started, and with the same MASTER_ADDR and MASTER_PORT; --rank-timeout waits longer"
_HEARD = "heard of an error"

_patient: dist.ProcessGroup | None = None
_prompt: dist.ProcessGroup | None = None
_store: dist.Store | None = None


def _uuid() -> str:
    """Of the GPU that this process uses, the same to every process that uses it."""
    return str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)


def _check_gpus(used: Sequence[str | None]) -> None:
    """Raises:
    UsageError: two processes use one GPU, which NCCL would refuse in its own words.
    """
    for number, uuid in enumerate(used):
        if uuid is not None and used.index(uuid) != number:
            raise UsageError(
                f"ranks {used.index(uuid)} and {number} use the same GPU ({uuid}): show each process its own (SLURM: "
                "--gpus-per-task 1), or start as many processes as there are GPUs"
            )


@contextlib.contextmanager
def joined(device: str, timeout: float) -> Iterator[None]:
    """Meet the other processes, if a launcher started several, and part from them at the end.

    Args:
        device: ``cpu`` talks over gloo; a GPU over NCCL, and its number is the local rank.
        timeout: seconds after which waiting for the others is an error.

    Raises:
        TrainingError: the others cannot be met, or were lost on the way.
    """
    global _patient, _prompt
    here = place(os.environ)
    if here is None or world_size() > 1:
        yield
        return
    if ":" in device:
        raise UsageError(f"--device {device} is one GPU, and each of {here.ranks} processes needs its own: use cuda")
    complete(os.environ, here)
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(own_gpu(here.local_rank, torch.cuda.device_count(), os.environ))
    try:
        patience = timedelta(seconds=timeout)
        _meet("cpu:gloo,cuda:nccl" if gpu else "gloo", here, patience, patience * (2 if gpu else 1))
        _patient = dist.new_group(backend="gloo", timeout=_PATIENT)
        _prompt = dist.new_group(backend="gloo", timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"rank {here.rank} cannot meet the other processes: {error}. {_MEET}") from error
    try:
        with in_contact():
            _check_gpus(gathered(_uuid() if gpu else None, patient=False))
            yield
    except FirstRankFailed:
        _heard()
        raise
    except LostContact:  # there may be nobody left to ask
        raise
    except AdvtasksError as error:  # mostly every rank finds the same mistake: the first to come says it
        if _said_first(str(error)):
            raise
        raise FirstRankFailed(error.exit_code) from error
    else:
        dist.destroy_process_group()
    finally:
        _patient = _prompt = None


@contextlib.contextmanager
def in_contact() -> Iterator[None]:
    """While ranks talk to each other.

    Raises:
        LostContact: another one is lost.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_loss_of_contact(error):
            raise
        raise LostContact(
            f"rank {rank()} of {world_size()} lost another process, which has said above why it stopped, or does not "
            f"answer ({said(error, 120)})"
        ) from error


def _meet(backend: str, here: Place, timeout: timedelta, collectives: timedelta) -> None:
    """The default process group. NCCL ends a process without a word when `collectives` have passed; by then gloo, which
    raises an error, has noticed that a rank is missing."""
    store, _, _ = next(dist.rendezvous("env://", here.rank, here.ranks, timeout=timeout))
    global _store
    _store = own = dist.PrefixStore(attempt(store, here, timeout), store)
    dist.init_process_group(backend, store=own, rank=here.rank, world_size=here.ranks, timeout=collectives)


def _said_first(text: str) -> bool:
    """Whether no other rank has said this. The first rank, with which the store may go, waits for the others to ask."""
    if _store is None:
        return True
    deadline = time.monotonic() + _ASKING
    try:
        first = _store.add(f"said {text}", 1) == 1
        _heard()
        while rank() == 0 and _store.add(_HEARD, 0) < world_size() and time.monotonic() < deadline:
            time.sleep(0.02)
        return first
    except RuntimeError:  # the process that keeps the store is gone
        return True


def _heard() -> None:
    """Tell the first rank that it need not wait for this one: a launcher ends it soon after the first one that left."""
    if _store is not None:
        with contextlib.suppress(RuntimeError):
            _store.add(_HEARD, 1)


def is_loss_of_contact(error: BaseException) -> bool:
    """Whether torch says that another rank is gone."""
    if world_size() == 1 or not isinstance(error, RuntimeError):
        return False
    words = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "broken pipe", "store")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)


def from_first(work: Callable[[], Result], patient: bool = True) -> Result:
    """What `work` gives on the first rank, on all of them; it runs nowhere else.

    Args:
        patient: the work may take long; otherwise a first rank that hangs is an error, as in a step.

    Raises:
        FirstRankFailed: on the others, when it fails there.
    """
    if world_size() == 1:
        return work()
    outcome: list[Any] = [None, None]
    failure: BaseException | None = None
    if rank() == 0:
        try:
            outcome[0] = work()
        except BaseException as error:
            failure, outcome[1] = error, getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
    dist.broadcast_object_list(outcome, src=0, group=_patient if patient else _prompt)
    if failure is not None:
        raise failure
    if outcome[1] is not None:
        raise FirstRankFailed(outcome[1])
    result: Result = outcome[0]
    return result


class LostContact(TrainingError):
    """Another process is gone or does not answer."""


class FirstRankFailed(AdvtasksError):
    """The first rank could not go on and has said why; this one ends silently."""

    def __init__(self, exit_code: int = 1) -> None:
        super().__init__()
        self.exit_code = exit_code


def first_alone_then_all(work: Callable[[], Result]) -> Result:
    """`work` on the first rank, then on the others, which find what it left in the cache."""
    if world_size() == 1:
        return work()
    mine: list[Result] = []
    from_first(lambda: mine.append(work()))
    return mine[0] if mine else work()


def gathered(value: Result, patient: bool = True) -> list[Result]:
    """The Python object of each rank, on all of them.

    Args:
        patient: ranks may come at very different times; otherwise one that hangs is an error, as in a step.
    """
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value, group=_patient if patient else _prompt)
    return values


def handed(value: Result, owner: int, patient: bool = True) -> Result:
    """The Python object of rank `owner`, on all of them; what the others give is not looked at.

    Args:
        patient: see :func:`gathered`.
    """
    if world_size() == 1:
        return value
    values: list[Any] = [value if rank() == owner else None]
    dist.broadcast_object_list(values, src=owner, group=_patient if patient else _prompt)
    result: Result = values[0]
    return result


class Agreement:
    """Whether any rank raised a flag, known one call later: the exchange runs beside the step between."""

    def __init__(self) -> None:
        self._flag: Tensor | None = None
        self._work: Any = None

    def any_raised(self, flag: bool) -> bool:
        """Send this rank's flag; gives what was sent at the call before. On one process: the flag."""
        if world_size() == 1:
            return flag
        answer = False
        if self._flag is not None:
            self._work.wait()
            answer = bool(self._flag.item())
        self._flag = torch.tensor([int(flag)])
        self._work = dist.all_reduce(self._flag, op=dist.ReduceOp.MAX, group=_prompt, async_op=True)
        return answer
