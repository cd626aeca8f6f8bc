"""What is logged of a critic's logits; losses, augments and regularizers that go by them move their state here."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from advtasks.augments import Augment
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
    """Terms of weight 0: means of the logits, the shares that were told right, and what the parts have to say.

    Args:
        real, fake: logits without graph.
        samples: real ones of all ranks that the critic has just seen.
    """
    boundary = loss.threshold
    accuracy_real = (real > (fake.mean() if boundary is None else boundary)).float().mean()
    accuracy_fake = (fake < (real.mean() if boundary is None else boundary)).float().mean()
    found = {
        "logit/real": real.mean(),
        "logit/fake": fake.mean(),
        "accuracy/real": accuracy_real,
        "accuracy/fake": accuracy_fake,
        **loss.observe(real, fake),
    }
    for augment in augments:
        found.update(augment.observe(real, boundary, step, samples))
    for regularizer in regularizers:
        found.update(regularizer.observed())
    return {name: Term(value, 0.0) for name, value in found.items()}
