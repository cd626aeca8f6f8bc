"""Batches that can be resumed: sample number k of a run is a pure function of the seed and k."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from advtasks.causes import said
from advtasks.errors import AdvtasksError, UsageError

Batch = dict[str, Tensor]
"""What a data set yields, collated: tensors by name."""


@dataclass(frozen=True)
class Position:
    """Where a run is in its data: which item, as which sample of the run."""

    index: int
    sample: int
    run_seed: int = 0

    @property
    def seed(self) -> int:
        """The seed of everything random about this sample; computed when it is asked for, which takes 20 µs."""
        return int(np.random.SeedSequence((self.run_seed, self.sample)).generate_state(1, np.uint32)[0])


def positions(length: int, seed: int, start: int = 0) -> Iterator[Position]:
    """An endless stream over a data set of `length` items, each epoch in an order of its own, from sample `start`.

    The stream from `start` equals the whole stream without its first `start` elements, so a checkpoint needs
    nothing but the number of samples seen.
    """
    epoch, offset = divmod(start, length)
    while True:
        order = np.random.default_rng((seed, epoch)).permutation(length)
        for place in range(offset, length):
            yield Position(int(order[place]), epoch * length + place, seed)
        epoch, offset = epoch + 1, 0


class _Batches(Sampler[list[Position]]):
    def __init__(self, length: int, batch: int, seed: int, first_batch: int, part: tuple[int, int]) -> None:
        self.stream = positions(length, seed, first_batch * batch)
        self.batch = batch
        rank, ranks = part
        self.rows = slice(rank * batch // ranks, (rank + 1) * batch // ranks)

    def __iter__(self) -> Iterator[list[Position]]:
        while True:
            yield list(islice(self.stream, self.batch))[self.rows]


def collated(samples: Sequence[Batch]) -> Batch:
    """A batch, put together by NumPy. torch would do it on several cores, and a second team of OpenMP threads in the
    process slows every operation of the training step (by a sixth on two cores).

    Raises:
        UsageError: samples are no tensors by name, or not of one shape.
    """
    try:
        return {name: torch.from_numpy(np.stack([sample[name].numpy() for sample in samples])) for name in samples[0]}
    except (AttributeError, TypeError, KeyError, IndexError, ValueError) as error:
        raise UsageError(f"samples of the data set make no batch: {_difference(samples) or said(error)}") from error


def _difference(samples: Sequence[Any]) -> str:
    """Why samples cannot be put together; empty where it is something else."""
    first = samples[0]
    for sample in samples:
        if not isinstance(sample, Mapping):
            return f"one is a {type(sample).__name__}, and a sample is a dict of tensors by name"
        if sample.keys() != first.keys():
            return f"one has {', '.join(map(str, first))}, another {', '.join(map(str, sample))}"
        for name, value in sample.items():
            if not isinstance(value, Tensor):
                return f"{name!r} is a {type(value).__name__}, and a sample is a dict of tensors by name"
            if value.shape != first[name].shape:
                shapes = " and ".join(str(tuple(shape)) for shape in (first[name].shape, value.shape))
                return f"{name!r} is {shapes}, and all are of one shape: cut or resize them"
    return ""


_GRACE = 60
"""Seconds that a loader process outlives a SIGTERM."""


class _Telling(Dataset[Any]):
    """In a loader process: what is wrong is handed over like a sample. Raised there, torch would wrap it in a traceback
    and lose what it is."""

    def __init__(self, dataset: Dataset[Batch]) -> None:
        self.dataset = dataset

    def __getitem__(self, position: Position) -> Batch | AdvtasksError:
        try:
            return self.dataset[position]
        except AdvtasksError as error:
            return error


def _told(samples: Sequence[Batch | AdvtasksError]) -> Batch | AdvtasksError:
    wrong = next((sample for sample in samples if isinstance(sample, AdvtasksError)), None)
    if wrong is not None:
        return wrong
    try:
        return collated(samples)  # type: ignore[arg-type]
    except AdvtasksError as error:
        return error


def _left_to_the_trainer(worker: int) -> None:
    """Ctrl-C goes to all processes of a terminal, SIGTERM of a launcher or of SLURM to all of a run. The trainer then
    ends its step, writes a checkpoint and ends this process; one that died before it would be an error there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_GRACE))


def _by_workers(loader: DataLoader[Any]) -> Generator[Batch, None, None]:
    for ready in loader:
        if isinstance(ready, AdvtasksError):
            raise ready
        yield ready


def batches(
    dataset: Dataset[Batch],
    *,
    batch: int,
    seed: int,
    first_batch: int = 0,
    workers: int = 0,
    pin_memory: bool = False,
    part: tuple[int, int] = (0, 1),
) -> Generator[Batch, None, None]:
    """Endless batches of `dataset`, from batch number `first_batch`, each made while the one before is used.

    Args:
        dataset: takes a :class:`Position`; has a length.
        batch: samples on all ranks together.
        part: the rank and the number of ranks: this one is given its rows of each batch.
        workers: processes; with 0 a thread prepares the next batch, which is enough for crops out of the cache.
    """
    sampler = _Batches(len(dataset), batch, seed, first_batch, part)  # type: ignore[arg-type]
    if workers:
        yield from _by_workers(
            DataLoader(
                _Telling(dataset),
                batch_sampler=sampler,
                num_workers=workers,
                pin_memory=pin_memory,
                collate_fn=_told,
                worker_init_fn=_left_to_the_trainer,
            )
        )
        return
    loader = DataLoader(dataset, batch_sampler=sampler, pin_memory=pin_memory, collate_fn=collated)
    stream = iter(loader)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        upcoming = pool.submit(next, stream)
        while True:
            ready = upcoming.result()
            upcoming = pool.submit(next, stream)
            yield ready
