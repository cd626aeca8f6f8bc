"""Two samples through copies of the networks before the first step: what does not fit is said now, not hours later."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.data import Dataset, default_collate

from advtasks.adversary import Adversary
from advtasks.data.loader import Batch, Position
from advtasks.errors import UsageError
from advtasks.task import Task


@torch.no_grad()
def rehearse(task: Task, generator: nn.Module, adversaries: dict[str, Adversary], data: Dataset[Batch]) -> None:
    """Generate and judge, without a trace in the networks.

    Raises:
        UsageError: a critic cannot judge pictures of this size.
    """
    device = next(generator.parameters()).device
    samples = default_collate([data[Position(0, 0)], data[Position(0, 1)]])
    batch = task.prepare({name: tensor.to(device) for name, tensor in samples.items()})
    judged = task.judged(batch, task.generate(copy.deepcopy(generator), batch))
    for view, adversary in adversaries.items():
        try:
            copy.deepcopy(adversary).criticize(judged[view].real, judged[view].condition)
        except RuntimeError as error:
            shape = "x".join(map(str, judged[view].real.shape[1:]))
            raise UsageError(
                f"the critic {type(adversary.discriminator).__name__} cannot judge {view} pictures of {shape} "
                f"({str(error).splitlines()[0]}); use larger patches or another --adversary.discriminator"
            ) from error
