"""Learning rates through a stage, as pure functions of the step: nothing to store."""

from __future__ import annotations

import math
from typing import Literal


def factor(schedule: Literal["constant", "cosine", "linear"], step: int, steps: int, warmup: int = 0) -> float:
    """What the learning rate is multiplied by at `step` (from 0) of a stage of `steps` steps.

    ``cosine`` falls from 1 to 0.01 (Loshchilov & Hutter 2017, eq. 5), ``linear`` from 1 to 0; both after `warmup`
    steps in which it rises in a straight line to 1 (Goyal et al. 2017, section 2.2).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    share = min((step - warmup) / (steps - warmup), 1.0)  # --tune goes further than short stages
    if schedule == "cosine":
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
    if schedule == "linear":
        return 1 - share
    return 1.0
