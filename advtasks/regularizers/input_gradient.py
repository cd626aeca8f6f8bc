"""The gradient of a critic with respect to what it sees, which all gradient penalties measure.

The critic's value of a sample is the mean of its logits, as in the losses; norms run over each sample, never over the
batch. All of it is computed in float32 (or float64), outside autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from advtasks.causes import is_of_the_device, is_out_of_memory
from advtasks.distributed import draw_rows
from advtasks.errors import UsageError
from advtasks.process_group import is_loss_of_contact
from advtasks.wide import at_least_float32

Critic = Callable[..., Tensor]


def precise(value: Tensor) -> Tensor:
    """Detached, and at least float32."""
    return at_least_float32(value.detach())


def full_precision(like: Tensor) -> AbstractContextManager[None]:
    """Outside autocast, whatever the caller's loop does."""
    return torch.autocast(like.device.type, enabled=False)


def values(critic: Critic, sample: Tensor, condition: Tensor | None) -> Tensor:
    """The critic's value of each sample, (N,)."""
    logits = critic(sample) if condition is None else critic(sample, condition)
    return logits.flatten(1).mean(1) if logits.dim() > 1 else logits


def input_gradients(
    critic: Critic, sample: Tensor, condition: Tensor | None, *, of_condition: bool = False
) -> tuple[Tensor, ...]:
    """∇C for each sample of the batch, with its graph: with respect to the sample, or to sample and condition.

    Raises:
        UsageError: the critic holds an operation without a second derivative, or does not depend on its input.
    """
    leaf = precise(sample).requires_grad_(True)
    leaves = [leaf]
    if condition is not None:
        condition = precise(condition)
        if of_condition:
            leaves.append(condition.requires_grad_(True))
    with full_precision(leaf):
        total = values(critic, leaf, condition).sum()
    try:
        return torch.autograd.grad(total, leaves, create_graph=True)
    except RuntimeError as error:
        if is_out_of_memory(error) or is_of_the_device(error) or is_loss_of_contact(error):
            raise
        raise UsageError(
            f"a gradient penalty differentiates the critic twice, and this one cannot be: {error}. Use r1-first-order, "
            "or a critic of operations that have second derivatives (a compiled critic has none)"
        ) from error


def input_gradient(critic: Critic, sample: Tensor, condition: Tensor | None = None) -> Tensor:
    """∇C(x) for each x of the batch, with its graph, in the shape of `sample`. See :func:`input_gradients`."""
    return input_gradients(critic, sample, condition)[0]


def squared_norm(gradient: Tensor) -> Tensor:
    """‖·‖² of each sample, (N,)."""
    return gradient.flatten(1).square().sum(1)


def norm(gradient: Tensor) -> Tensor:
    """‖·‖ of each sample, (N,); with 1e-24 under the root, whose slope at 0 would be infinite."""
    return (squared_norm(gradient) + 1e-24).sqrt()


def between(real: Tensor, fake: Tensor) -> Tensor:
    """``ε r + (1-ε) f``, ε uniform in [0, 1] for each sample."""
    real, fake = precise(real), precise(fake)
    epsilon = draw_rows(torch.rand, real.shape[0], *[1] * (real.dim() - 1), device=real.device).to(real)
    return epsilon * real + (1 - epsilon) * fake
