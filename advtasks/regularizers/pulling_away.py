"""The pulling-away term of EBGAN (Zhao et al. 2017, section 2.4)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import normalize

from advtasks.distributed import gather
from advtasks.errors import UsageError
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.wide import at_least_float32


def pulling_away(codes: Tensor) -> Tensor:
    """``PT = 1/(N(N-1)) Σ_{i≠j} cos²(S_i, S_j)`` over the codes (N, ...) of all ranks (section 2.4): 0 for orthogonal
    codes, 1 for equal ones.

    Raises:
        UsageError: there is one code only.
    """
    directions = normalize(gather(codes.flatten(1)), dim=1)
    count = directions.shape[0]
    if count < 2:
        raise UsageError("pulling-away compares the samples of a batch: use a batch of at least 2")
    squares = (directions @ directions.T).square()
    return (squares.sum() - squares.diagonal().sum()) / (count * (count - 1))


class PullingAway(Regularizer):
    """A generator term: the codes of fakes at right angles; see :func:`pulling_away`.

    When to use: with ``ebgan`` against mode collapse; 0.1 is the paper's weight. Healthy values fall well below 1.
    """

    name: ClassVar[str] = "pulling-away"
    batch_statistics: ClassVar[bool] = True
    phases: ClassVar = ("generator",)
    uses_outputs: ClassVar[bool] = True
    uses_features: ClassVar[bool] = True

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight

    def generator_term(self, scored: Scored) -> Tensor:
        """The term, weighted, relative to the adversarial weight."""
        return self.weight * pulling_away(at_least_float32(scored.fake.features[-1]))
