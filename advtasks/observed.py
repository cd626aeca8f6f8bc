"""What is logged of a critic's logits; losses, augments and regularizers that go by them move their state here."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from advtasks.augments import Augment
from advtasks.distributed import all_mean
from advtasks.losses import AdversarialLoss
from advtasks.regularizers import Regularizer
from advtasks.task import Term, Terms


def observed(
    real: Tensor,
    fake: Tensor,
    loss: AdversarialLoss,
    augments: Sequence[Augment],
    regularizers: Sequence[Regularizer],
    step: int,
    samples: int,
) -> Terms:
    """Terms of weight 0: means of the logits, the shares that were told right (of losses whose logits mean nothing by
    themselves: the shares beyond the other side's mean over all ranks), and what the parts have to say.

    Args:
        real, fake: logits without graph.
        samples: real ones of all ranks that the critic has just seen.
    """
    boundary = loss.threshold
    means = torch.stack((real.mean(), fake.mean()))
    above_fake, below_real = (boundary, boundary) if boundary is not None else all_mean(means).flip(0)
    found = {
        "logit/real": means[0],
        "logit/fake": means[1],
        "accuracy/real": (real > above_fake).float().mean(),
        "accuracy/fake": (fake < below_real).float().mean(),
        **loss.observe(real, fake),
    }
    for augment in augments:
        found.update(augment.observe(real, boundary, step, samples))
    for regularizer in regularizers:
        found.update(regularizer.observed())
    return {name: Term(value, 0.0) for name, value in found.items()}
