"""Path length regularization (StyleGAN2: Karras et al. 2020, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from advtasks.distributed import batch_mean, draw_rows
from advtasks.regularizers.input_gradient import full_precision
from advtasks.regularizers.regularizer import Regularizer, Scored


def path_lengths(synthesize: Callable[[Tensor], Tensor], latent: Tensor) -> Tensor:
    """``‖J_wᵀ y‖`` for each latent w, (N,), with its graph; y ~ N(0, I) divided by the root of the number of pixels, as
    in the authors' code, so that the value does not depend on the size."""
    leaf = latent.detach().requires_grad_(True)
    with full_precision(leaf):
        fake = synthesize(leaf)
    pixels = math.prod(fake.shape[2:]) if fake.dim() > 2 else 1
    noise = draw_rows(torch.randn, *fake.shape, device=fake.device).to(fake) / math.sqrt(pixels)
    (product,) = torch.autograd.grad((fake * noise).sum(), leaf, create_graph=True)
    return (product.flatten(1).square().sum(1) + 1e-24).sqrt()


class PathLength(Regularizer):
    """A generator term: ``E (‖J_wᵀ y‖ - a)²``, a the moving average of the lengths (eq. 4); see :func:`path_lengths`.

    When to use: generators that take noise, for a smooth latent space. The average is a buffer.

    Args:
        every: generator steps from one term to the next, with the weight multiplied by it.
    """

    name: ClassVar[str] = "path-length"
    batch_statistics: ClassVar[bool] = True
    phases: ClassVar = ("generator",)

    def __init__(self, weight: float = 2.0, decay: float = 0.99, every: int = 4) -> None:
        super().__init__()
        self.weight, self.decay, self.every = weight, decay, every
        self.register_buffer("average", torch.zeros(()))
        self._generator_steps = 0

    def get_extra_state(self) -> int:
        """The number of generator steps."""
        return self._generator_steps

    def set_extra_state(self, state: int) -> None:
        """Go on counting."""
        self._generator_steps = state

    def prepare_for_rehearsal(self) -> None:
        """Now, not only in every fourth step."""
        self.every = 1

    def generator_term(self, scored: Scored) -> Tensor | None:
        """Move the average, then the term, weighted."""
        latent, synthesize = scored.latent()
        self._generator_steps += 1
        if self._generator_steps % self.every:
            return None
        lengths = path_lengths(synthesize, latent)
        average = self.get_buffer("average")
        with torch.no_grad():
            average.lerp_(batch_mean(lengths).to(average), 1 - self.decay)
            target = average.clone()
        return self.weight * self.every * (lengths - target).square().mean()
