"""PacGAN (Lin et al. 2018): the critic judges m samples at once, so that a lack of variety shows."""

from __future__ import annotations

import dataclasses

from advtasks.errors import UsageError
from advtasks.task import Judged


def pack(judged: Judged, samples: int) -> Judged:
    """Neighbours of the batch joined by channels: (N/m, m·C, ...) from (N, C, ...), real, fake and condition alike;
    m = 1 is the plain game (section 3).

    Raises:
        UsageError: m does not divide the batch.
    """
    if samples == 1:
        return judged
    if len(judged.real) % samples or len(judged.fake) % samples:
        raise UsageError(f"pack={samples} does not divide the batch of {len(judged.real)}")
    real, fake = (sample.unflatten(0, (-1, samples)).flatten(1, 2) for sample in (judged.real, judged.fake))
    condition = judged.condition
    if condition is not None and condition.dim() > 1:
        condition = condition.unflatten(0, (-1, samples)).flatten(1, 2)
    return dataclasses.replace(judged, real=real, fake=fake, condition=condition)
