"""The shape of a regularizer."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from advtasks.errors import UsageError
from advtasks.task import Judged


class Regularizer(nn.Module):
    """A term for one phase, or a constraint on the critic. State that a resume needs lives in buffers.

    Args:
        interval: the term is computed every `interval` steps, `interval` times as heavy (lazy regularization).
    """

    name: ClassVar[str]
    phase: ClassVar[Literal["discriminator", "generator"]] = "discriminator"
    second_order: ClassVar[bool] = False
    """Whether the term differentiates the critic twice."""

    def __init__(self, interval: int = 1) -> None:
        super().__init__()
        if interval < 1:
            raise UsageError(f"{self.name}: the interval must be at least 1, got {interval}")
        self.interval = interval

    def apply_to(self, discriminator: nn.Module) -> None:
        """Change the critic once, when the adversary is made."""

    def term(self, discriminator: nn.Module, judged: Judged) -> Tensor | None:
        """The term, already weighted, a scalar; None for a constraint that adds no term."""
        return None
