"""The few collective operations that a loss or a phase needs. On one process all of them are the identity.

Every rank holds a part of the batch, of equal size, and gradients are averaged over ranks after each backward
(:func:`average_gradients`). With that convention a mean over the whole batch is :func:`batch_mean`, and everything
computed from it equals what one process would compute on the whole batch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from advtasks.errors import UsageError


def world_size() -> int:
    """The number of ranks."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def require_group(what: str) -> None:
    """Refuse statistics over the batch where a launcher started several processes that do not talk to each other.

    Raises:
        UsageError: ``WORLD_SIZE`` is above 1 and there is no process group.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and world_size() == 1:
        raise UsageError(
            f"{what} needs a mean over all ranks, but WORLD_SIZE is {os.environ['WORLD_SIZE']} and there is no "
            "process group: call torch.distributed.init_process_group() first, or start one process"
        )


class _AllMean(torch.autograd.Function):
    """The mean over ranks. It is its own adjoint, so it can be differentiated as often as one likes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        result = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(result)
        return result / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        result: Tensor = _AllMean.apply(gradients[0])
        return result


def all_mean(value: Tensor) -> Tensor:
    """The mean over ranks of a tensor of equal shape on each, differentiable."""
    if world_size() == 1:
        return value
    result: Tensor = _AllMean.apply(value)
    return result


def batch_mean(value: Tensor) -> Tensor:
    """The mean over all elements of the batch on all ranks, a scalar, differentiable."""
    return all_mean(value.mean())


def gather(value: Tensor) -> Tensor:
    """The whole batch (ranks · N, ...) from each rank's part (N, ...), differentiable for floats."""
    ranks = world_size()
    if ranks == 1:
        return value
    if not value.is_floating_point():
        parts = [torch.empty_like(value) for _ in range(ranks)]
        dist.all_gather(parts, value.contiguous())
        return torch.cat(parts)
    places = value.new_zeros(ranks, *value.shape)
    mine = (torch.arange(ranks, device=value.device) == rank()).to(value)
    places = places + mine.view(-1, *[1] * value.dim()) * value
    return (all_mean(places) * ranks).flatten(0, 1)


def whole_tensor(value: Tensor) -> Tensor:
    """A tensor as it is, or put together from the ranks' shares (FSDP2), for which all ranks must call."""
    return value.full_tensor() if is_share(value) else value  # type: ignore[attr-defined]


def is_share(value: Tensor) -> bool:
    """Whether it is one rank's share of a larger tensor: a DTensor, whose module takes 0.6 s to import."""
    return hasattr(value, "full_tensor")


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over ranks, in one exchange. What has no gradient keeps none, as on one
    process, where an optimiser skips it; terms never branch on data, so all ranks have the same list. Shares of a
    sharded network (FSDP2) have been averaged by its backward pass."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    gradients = [gradient for gradient in gradients if not is_share(gradient)]
    for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
        group = [gradient for gradient in gradients if gradient.dtype == dtype]
        flat = torch.cat([gradient.reshape(-1) for gradient in group])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, mean in zip(group, flat.split([g.numel() for g in group]), strict=True):
            gradient.copy_(mean.view_as(gradient))


_part = (0, 1)
_streams: dict[str, torch.Generator] = {}
_seeded = False
"""Whether a trainer seeds the streams; else they follow torch's own, which ranks must then seed alike."""


@contextlib.contextmanager
def part_of_batch(number: int, parts: int) -> Iterator[None]:
    """While entered, :func:`draw_rows` draws for all `parts` of the rank's batch and gives those of part `number`."""
    global _part
    before, _part = _part, (number, parts)
    try:
        yield
    finally:
        _part = before


def seed_shared_draws(number: int) -> None:
    """Seed the stream of :func:`draw_rows` on several ranks, which all of them share."""
    global _seeded
    _seeded = True
    for stream in _all_streams().values():
        stream.manual_seed(number)


def shared_draws() -> dict[str, Tensor]:
    """Where the stream of :func:`draw_rows` is, by device. On one process, which draws from torch's own stream, that is
    where torch is."""
    if _follows_torch():
        for device, stream in _all_streams().items():
            stream.set_state(torch.get_rng_state() if device == "cpu" else torch.cuda.get_rng_state(device))
    return {device: stream.get_state() for device, stream in _all_streams().items()}


def set_shared_draws(states: Mapping[str, Tensor]) -> None:
    """Go back to what :func:`shared_draws` gave."""
    for device, state in states.items():
        _all_streams()[device].set_state(state)


def give_back_draws() -> None:
    """On one process, let torch's own stream go on where the stream of :func:`draw_rows` is."""
    if _follows_torch():
        for device, stream in _all_streams().items():
            state = stream.get_state()
            if device == "cpu":
                torch.set_rng_state(state)
            else:
                torch.cuda.set_rng_state(state, device)


def _follows_torch() -> bool:
    return world_size() == 1 or not _seeded


def stream_states() -> dict[str, Tensor]:
    """Where the streams are, without a look at torch's own."""
    return {device: stream.get_state() for device, stream in _all_streams().items()}


def _all_streams() -> dict[str, torch.Generator]:
    count = torch.cuda.device_count() if torch.cuda.is_initialized() else 0
    for device in ["cpu", *(f"cuda:{number}" for number in range(count))]:
        if device not in _streams:
            _streams[device] = torch.Generator(device)
    return _streams


def draw_rows(draw: Callable[..., Tensor], rows: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Random rows (rows, \\*shape), the rank's part of what one process would draw for the whole batch.

    Args:
        draw: ``torch.rand`` or ``torch.randn``, taking a shape.
    """
    number, parts = _part
    ranks = world_size()
    if ranks * parts == 1:
        return draw(rows, *shape, device=device)
    place = torch.empty(0, device=device).device
    device_name = f"cuda:{place.index}" if place.type == "cuda" else place.type
    stream = None if parts == 1 and _follows_torch() else _all_streams()[device_name]
    everyone = draw(rows * ranks * parts, *shape, device=device, generator=stream)
    first = (rank() * parts + number) * rows
    return everyone[first : first + rows]
