"""Regularizers that look at the critic's weights alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from advtasks.errors import UsageError
from advtasks.layers import equalize_learning_rate
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.regularizers.spectral import WEIGHTED, as_matrix
from advtasks.task import View


def orthogonal_penalty(matrices: Iterable[Tensor]) -> Tensor:
    """``Σ ‖W Wᵀ ⊙ (1 - I)‖_F²`` over matrices (out, in): rows at right angles, of any length (Brock et al. 2019,
    eq. 3)."""
    parts = []
    for matrix in matrices:
        gram = matrix @ matrix.T
        parts.append((gram - torch.diag(gram.diagonal())).square().sum())
    return torch.stack(parts).sum()


def historical_average_penalty(parameters: Iterable[Tensor], averages: Iterable[Tensor]) -> Tensor:
    """``‖θ - (1/t) Σ θ_i‖²`` (Salimans et al. 2016, section 3.3)."""
    parts = [(one - mean).square().sum() for one, mean in zip(parameters, averages, strict=True)]
    return torch.stack(parts).sum()


@torch.no_grad()
def clip_weights(module: nn.Module, limit: float) -> None:
    """Clamp every parameter that is trained to [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
    trained: list[Tensor] = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if trained:
        torch._foreach_clamp_min_(trained, -limit)
        torch._foreach_clamp_max_(trained, limit)


class Orthogonal(Regularizer):
    """Orthogonal rows in every layer of the critic; see :func:`orthogonal_penalty`.

    When to use: BigGAN-like networks; 1e-4 is the paper's weight.
    """

    name: ClassVar[str] = "orthogonal"

    def __init__(self, weight: float = 1e-4, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight = weight

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        layers = (layer for layer in scored.critic.modules() if isinstance(layer, WEIGHTED))
        return self.weight * orthogonal_penalty(as_matrix(layer) for layer in layers)


class HistoricalAveraging(Regularizer):
    """The critic's weights near their mean over all steps so far; see :func:`historical_average_penalty`.

    When to use: games that circle, with few parameters; it holds the critic back ever more. The means are buffers.
    """

    name: ClassVar[str] = "historical-averaging"

    def __init__(self, weight: float = 0.01, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight = weight
        self.register_buffer("steps", torch.zeros(()))

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Begin the means."""
        for number, parameter in enumerate(discriminator.parameters()):
            self.register_buffer(f"mean{number}", torch.zeros_like(parameter))
        return super().apply_to(discriminator, view)

    def _means(self) -> list[Tensor]:
        return [buffer for name, buffer in self.named_buffers() if name.startswith("mean")]

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted; 0 before the first step."""
        penalty = historical_average_penalty(scored.critic.parameters(), self._means())
        return self.weight * penalty * (self.get_buffer("steps") > 0)

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        """Take the new weights into the mean."""
        steps = self.get_buffer("steps").add_(1)
        changes = torch._foreach_sub(list(discriminator.parameters()), self._means())
        torch._foreach_div_(changes, steps)
        torch._foreach_add_(self._means(), changes)


class WeightClipping(Regularizer):
    """Every parameter of the critic in [-limit, limit]; see :func:`clip_weights`.

    When to use: to reproduce WGAN as first published. Penalties work better (Gulrajani et al. 2017).

    Raises:
        UsageError: the limit is not above 0.
    """

    name: ClassVar[str] = "weight-clipping"
    phases: ClassVar = ()
    bounds_critic: ClassVar[bool] = True

    def __init__(self, limit: float = 0.01) -> None:
        super().__init__()
        if limit <= 0:
            raise UsageError(f"weight-clipping: the limit must be above 0, got {limit}")
        self.limit = limit

    def after_step(self, discriminator: nn.Module) -> None:
        """Clamp."""
        clip_weights(discriminator, self.limit)


class EqualizedLearningRate(Regularizer):
    """Equalised learning rate in every layer of the critic; see
    :func:`advtasks.layers.equalized.equalize_learning_rate`.

    When to use: progressive growing and StyleGAN-like critics, with Adam. It adds no term and draws new weights.
    """

    name: ClassVar[str] = "equalized-lr"
    phases: ClassVar = ()

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Draw the weights anew and scale them at run time."""
        equalize_learning_rate(discriminator)
        return super().apply_to(discriminator, view)
