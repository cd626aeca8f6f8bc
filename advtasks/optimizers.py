"""Optimisers by name, with the learning rate and betas that a phase gives them."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from advtasks import components
from advtasks.errors import UsageError


def make_optimizer(
    name: str, module: nn.Module, learning_rate: float, betas: tuple[float, float], lazy: float = 1.0
) -> Optimizer:
    """The optimiser that `name` chooses (``adam``, ``adamw:weight_decay=0.01``) over the trainable parameters.

    `lazy` is the correction c for extra lazy steps: learning rate times c, betas to the power c (Karras et al. 2020,
    appendix B). Optimisers without betas leave them out.

    Raises:
        UsageError: an unknown name or option, or a value that the optimiser refuses.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    lazy_betas = (betas[0] ** lazy, betas[1] ** lazy)
    try:
        optimizer: Optimizer = components.build(
            "optimizers", name, params=parameters, lr=learning_rate * lazy, betas=lazy_betas
        )
    except ValueError as error:
        raise UsageError(f"optimizer {name!r}: {error}") from error
    return optimizer
