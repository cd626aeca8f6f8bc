"""A batch through a network in pieces: the memory of one piece, the result of the whole batch.

This is gradient accumulation that is exact. The loss sees the outputs of the whole batch, so means over the batch,
relativistic averages and moving statistics are what they are without pieces; activations are computed again, piece by
piece, in the backward pass (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"), which costs one more
forward pass.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.utils.checkpoint import checkpoint

from advtasks.distributed import give_back_draws, part_of_batch, set_shared_draws, shared_draws, stream_states
from advtasks.errors import UsageError

Result = TypeVar("Result")


def in_pieces(
    run: Callable[..., Result],
    rows: Sequence[Tensor | None],
    pieces: int,
    networks: Sequence[nn.Module],
    whole_draws: bool = False,
) -> list[Result]:
    """`run` on each of `pieces` equal parts of `rows`, whose activations are kept for one part at a time.

    Layers that mix samples (batch norm, minibatch statistics) mix those of a piece, as in every accumulation; they
    see each piece once. A spectral norm estimates once for the whole batch.

    Args:
        run: takes a part of each of `rows`.
        rows: tensors of equal length, or None.
        pieces: divides their length, else UsageError.
        networks: what `run` uses, and what keeps state in buffers.
        whole_draws: each piece draws its rows of what the whole batch would draw, where `run` draws by
            :func:`advtasks.distributed.draw_rows`; other draws, such as dropout's, go on from piece to piece.

    Raises:
        UsageError: the rows cannot be cut into that many equal pieces.
    """
    lengths = {len(value) for value in rows if value is not None}
    count, rest = divmod(max(lengths), pieces)
    if rest or len(lengths) > 1:
        raise UsageError(
            f"{sorted(lengths)} rows cannot be cut into {pieces} equal pieces: accumulate must divide the batch"
        )
    start = shared_draws() if whole_draws else None
    results = []
    with _estimated_once(networks):
        for piece in range(pieces):
            part = [None if value is None else value[piece * count : (piece + 1) * count] for value in rows]
            if start is not None:
                set_shared_draws(start)
            within = functools.partial(part_of_batch, piece, pieces) if whole_draws else contextlib.nullcontext
            work = _within(run, within)
            results.append(_recomputed(work, part, networks) if torch.is_grad_enabled() else work(*part))
    if whole_draws:
        give_back_draws()
    return results


def _within(run: Callable[..., Result], context: Callable[[], AbstractContextManager[None]]) -> Callable[..., Result]:
    def work(*part: Tensor | None) -> Result:
        with context():
            return run(*part)

    return work


def _recomputed(work: Callable[..., Result], part: Sequence[Tensor | None], networks: Sequence[nn.Module]) -> Result:
    again = _AsBefore(networks)
    result: Result = checkpoint(work, *part, use_reentrant=False, context_fn=lambda: (contextlib.nullcontext(), again))
    return result


def _buffers(networks: Sequence[nn.Module]) -> list[tuple[nn.Module, str]]:
    """Where the networks keep their buffers: modules and names."""
    owners = dict.fromkeys(module for network in networks for module in network.modules())
    return [(owner, name) for owner in owners for name, value in owner._buffers.items() if value is not None]


@contextlib.contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """While entered the network's buffers are copies: what a pass adds to its statistics is forgotten."""
    with contextlib.ExitStack() as stack:
        for owner, name in _buffers([network]):
            value = owner._buffers[name]
            stack.callback(owner._buffers.__setitem__, name, value)
            owner._buffers[name] = value.clone()  # type: ignore[union-attr]
        yield


class _AsBefore:
    """While entered, the networks' buffers are copies of what they were: a second pass sees what the first one saw, and
    leaves no trace. Entered once for each time that a piece is computed again, which second derivatives do twice."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks, self.places = networks, _buffers(networks)
        self.values = [owner._buffers[name].clone() for owner, name in self.places]  # type: ignore[union-attr]
        self.draws = stream_states()

    def __enter__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.stack.callback(set_shared_draws, stream_states())
        set_shared_draws(self.draws)
        for (owner, name), value in zip(self.places, self.values, strict=True):
            self.stack.callback(owner._buffers.__setitem__, name, owner._buffers[name])
            owner._buffers[name] = value.clone()
        self.stack.enter_context(_steady(self.networks))

    def __exit__(self, *error: object) -> None:
        self.stack.close()


@contextlib.contextmanager
def _estimated_once(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Parametrizations with an estimate, such as spectral norm, take one step now and none while entered."""
    with torch.no_grad():
        for network in networks:
            for module in network.modules():
                if isinstance(module, ParametrizationList) and module.training:
                    module()
    with _steady(networks):
        yield


@contextlib.contextmanager
def _steady(networks: Sequence[nn.Module]) -> Iterator[None]:
    training = [
        part
        for network in networks
        for module in network.modules()
        if isinstance(module, ParametrizationList)
        for part in module.modules()
        if part.training
    ]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True
