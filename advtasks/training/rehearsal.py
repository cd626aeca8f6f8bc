"""Two samples through copies of the networks before the first step: what does not fit is said now, not hours later."""

from __future__ import annotations

import copy
import functools

from torch import nn
from torch.utils.data import Dataset

from advtasks.causes import is_of_the_device, is_out_of_memory, said
from advtasks.data.loader import Batch, Position, collated
from advtasks.errors import UsageError
from advtasks.mixture import AnyAdversary
from advtasks.task import Task, total
from advtasks.training.views import shown


def rehearse(task: Task, generator: nn.Module, adversaries: dict[str, AnyAdversary], data: Dataset[Batch]) -> None:
    """Generate and judge once, every term and its gradient, without a trace in the networks.

    Raises:
        UsageError: a critic cannot judge samples of this size, or a term lacks what it needs.
    """
    device = next(generator.parameters()).device
    count = max([2, *(2 * adversary.pack for adversary in adversaries.values())])
    samples = collated([data[Position(0, number)] for number in range(count)])
    batch = task.prepare({name: tensor.to(device) for name, tensor in samples.items()})
    generator = copy.deepcopy(generator)
    generate = functools.partial(task.generate, generator)
    judged = shown(task, batch, generate(batch), generate)
    for view, adversary in adversaries.items():
        trial = copy.deepcopy(adversary)
        trial.prepare_for_rehearsal()
        try:
            for phase in trial.phases():
                total(phase.terms((judged[view], 0))).backward()
            terms = trial.generator_terms(judged[view], 0)
            if terms:
                total(terms).backward(retain_graph=True)
        except (RuntimeError, ValueError) as error:
            if is_out_of_memory(error) or is_of_the_device(error):
                raise
            reason = said(error)
            twice = [regularizer.name for regularizer in trial.regularizers if regularizer.second_order]
            if twice and any(word in reason for word in ("twice", "double backward", "derivative")):
                raise UsageError(
                    f"{', '.join(map(str, twice))} differentiate the critic {type(adversary.discriminator).__name__} "
                    f"twice, and it cannot be ({reason}): use r1-first-order, or a critic without that operation"
                ) from error
            shape = "x".join(map(str, judged[view].real.shape[1:]))
            raise UsageError(
                f"the critic {type(adversary.discriminator).__name__} cannot judge {view} pictures of {shape} "
                f"({reason}); use larger patches or another --adversary.discriminator"
            ) from error
