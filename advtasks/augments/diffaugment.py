"""DiffAugment (Zhao et al. 2020): differentiable colour, translation and cutout."""

from __future__ import annotations

from typing import ClassVar

import torch
from kornia.geometry.transform import translate
from torch import Tensor

from advtasks.augments.augment import Augment, Draws
from advtasks.distributed import draw_rows
from advtasks.errors import UsageError
from advtasks.wide import at_least_float32

_POLICIES = ("color", "translation", "cutout")


class DiffAugment(Augment):
    """The parts of `policy`, joined by ``+``, each with probability `p` for each sample (section 4, with the ranges of
    the authors' code on [-1, 1], here on [0, 1]).

    - ``color``: brightness + U(-¼, ¼), saturation · U(0, 2), contrast · U(½, 3/2); unclamped, so the gradient is whole.
    - ``translation``: by up to `shift` of the side, whole pixels; what comes in is grey 0.5, the zero that critics see.
    - ``cutout``: a square of `hole` of the side becomes grey 0.5, too.

    When to use: sets of up to some thousand pictures, from the start; no controller, so nothing to tune.

    Raises:
        UsageError: an unknown policy, or a p that is no probability.
    """

    name: ClassVar[str] = "diffaugment"

    def __init__(
        self,
        policy: str = "color+translation+cutout",
        p: float = 1.0,
        shift: float = 0.125,
        hole: float = 0.5,
    ) -> None:
        super().__init__()
        self.policy = policy.split("+")
        for part in self.policy:
            if part not in _POLICIES:
                raise UsageError(f"diffaugment: unknown policy {part!r}; join some of {', '.join(_POLICIES)} by +")
        if not 0 <= p <= 1:
            raise UsageError(f"diffaugment: p is a probability, got {p}")
        self.p, self.shift, self.hole = p, shift, hole

    def draw(self, sample: Tensor, step: int) -> Draws:
        """Uniform numbers (N, 7), and which samples are changed by each of the three parts (N, 3)."""
        count, device = sample.shape[0], sample.device
        return {
            "uniform": draw_rows(torch.rand, count, 7, device=device),
            "changed": draw_rows(torch.rand, count, 3, device=device) < self.p,
        }

    def transform(self, sample: Tensor, draws: Draws) -> Tensor:
        """Colour, then place."""
        if "color" in self.policy:
            sample = _where(draws["changed"][:, 0], self._color(sample, draws["uniform"]), sample)
        return self.transform_condition(sample, draws)

    def transform_condition(self, condition: Tensor, draws: Draws) -> Tensor:
        """Translation and cutout."""
        uniform, changed = draws["uniform"], draws["changed"]
        height, width = condition.shape[2:]
        if "translation" in self.policy:
            x, y = (((uniform[:, i] * 2 - 1) * self.shift * side).round() for i, side in ((3, width), (4, height)))
            wide = at_least_float32(condition)
            moved = translate(wide - 0.5, torch.stack((x, y), 1).to(wide), padding_mode="zeros") + 0.5
            condition = _where(changed[:, 1], moved, condition)
        if "cutout" in self.policy:
            columns, rows = self._inside(uniform[:, 5], width), self._inside(uniform[:, 6], height)
            hole = rows[:, None, :, None] & columns[:, None, None, :] & changed[:, 2, None, None, None]
            condition = torch.where(hole, 0.5, condition)
        return condition

    def _inside(self, uniform: Tensor, side: int) -> Tensor:
        """Which places of a side lie in the hole, (N, side)."""
        size = int(self.hole * side + 0.5)
        start = (uniform * (side + 1 - size % 2)).floor() - size // 2
        places = torch.arange(side, device=uniform.device)[None]
        return (places >= start[:, None]) & (places < start[:, None] + size)

    @staticmethod
    def _color(sample: Tensor, uniform: Tensor) -> Tensor:
        brightness, saturation, contrast = (uniform[:, i, None, None, None] for i in range(3))
        sample = sample + (brightness - 0.5) / 2
        grey = sample.mean(1, keepdim=True)
        sample = grey + (sample - grey) * (saturation * 2)
        mean = sample.mean((1, 2, 3), keepdim=True)
        return mean + (sample - mean) * (contrast + 0.5)


def _where(rows: Tensor, changed: Tensor, plain: Tensor) -> Tensor:
    return torch.where(rows[:, None, None, None], changed, plain)
