"""Top-k training (Sinha et al. 2020): the generator learns from the fakes that the critic finds best."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from advtasks.distributed import gather, world_size
from advtasks.errors import UsageError
from advtasks.regularizers.regularizer import Regularizer


def top_k(fake: Tensor, real: Tensor | None, share: float) -> tuple[Tensor, Tensor | None]:
    """The logits of the `share` of fakes with the highest mean logit, over all ranks, and of their real partners."""
    fake = gather(fake)
    real = None if real is None else gather(real)
    count = max(round(share * fake.shape[0]), 1)
    best = fake.detach().reshape(len(fake), -1).mean(1).topk(count).indices
    return fake[best], None if real is None else real[best]


class TopK(Regularizer):
    """The generator's loss over the k highest logits; the share k / N falls from 1 by `decay` every `every` steps of
    the stage down to `least` (algorithm 1; 0.99 and ½ are the paper's).

    When to use: cheap, for generators without an objective of their own; too small a share costs variety.

    Raises:
        UsageError: least is not within (0, 1], or every is below 1.
    """

    name: ClassVar[str] = "top-k"
    batch_statistics: ClassVar[bool] = True
    phases: ClassVar = ()

    def __init__(self, least: float = 0.5, decay: float = 0.99, every: int = 1000) -> None:
        super().__init__()
        if not 0 < least <= 1:
            raise UsageError(f"top-k: least is a share in (0, 1], got {least}")
        if every < 1:
            raise UsageError(f"top-k: every must be at least 1, got {every}")
        self.least, self.decay, self.every = least, decay, every

    def share(self, step: int) -> float:
        """k / N at a step of the stage."""
        return max(self.least, self.decay ** (step // self.every))

    def select(self, fake: Tensor, real: Tensor | None, step: int) -> tuple[Tensor, Tensor | None]:
        """The best fakes, and their partners."""
        share = self.share(step)
        if share == 1 and world_size() == 1:
            return fake, real
        return top_k(fake, real, share)
