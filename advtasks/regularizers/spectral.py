"""Spectral normalisation (Miyato et al. 2018), and the spectral norm as a penalty (Yoshida & Miyato 2017)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

from advtasks.errors import UsageError
from advtasks.layers.equalized import is_equalized
from advtasks.layers.spectral import spectral_norm
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.task import View

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Embedding)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)


def as_matrix(layer: nn.Module) -> Tensor:
    """The layer's weight as (out, in · kernel)."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return (weight.transpose(0, 1) if isinstance(layer, TRANSPOSED) else weight).flatten(1)


def apply_spectral_norm(module: nn.Module, power_iterations: int = 1) -> None:
    """Divide the weight of each linear, convolution and embedding layer by its largest singular value, W as
    (out, in·kh·kw), estimated by power iteration (Miyato et al. 2018, algorithm 1). Layers that have it are left.

    The estimate moves in training mode only. This is the norm of the matrix, not of the convolution as an operator,
    which is a different number (Sedghi et al. 2019).

    Raises:
        UsageError: a layer has an equalised learning rate, which the division would undo.
    """
    for layer in module.modules():
        if isinstance(layer, WEIGHTED):
            if is_equalized(layer):
                raise UsageError("spectral-norm and equalized-lr undo each other: both rescale the weights; choose one")
            if not parametrize.is_parametrized(layer, "weight"):
                spectral_norm(layer, power_iterations)


def spectral_penalty(layers: list[nn.Module], vectors: list[Tensor], iterations: int = 1) -> Tensor:
    """``½ Σ σ(W)²`` over the layers (Yoshida & Miyato 2017, eq. 5); `vectors` (in · kernel,) follow the first right
    singular vectors by `iterations` steps of power iteration and are changed in place."""
    parts = []
    for layer, vector in zip(layers, vectors, strict=True):
        matrix = as_matrix(layer)
        with torch.no_grad():
            for _ in range(iterations):
                vector.copy_(normalize(matrix.T @ (matrix @ vector), dim=0))
        parts.append((matrix @ vector.clone()).square().sum())
    return 0.5 * torch.stack(parts).sum()


class SpectralNorm(Regularizer):
    """Spectral norm on every layer of the critic; it adds no term. See :func:`apply_spectral_norm`.

    When to use: cheap stability for any critic, with ``hinge`` (SNGAN, SAGAN, BigGAN) or a patch critic.
    """

    name: ClassVar[str] = "spectral-norm"
    phases: ClassVar = ()
    bounds_critic: ClassVar[bool] = True

    def __init__(self, power_iterations: int = 1) -> None:
        super().__init__()
        self.power_iterations = power_iterations

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Normalise the critic's layers."""
        apply_spectral_norm(discriminator, self.power_iterations)
        return super().apply_to(discriminator, view)


class SpectralPenalty(Regularizer):
    """The squared spectral norm of every layer as a term; see :func:`spectral_penalty`.

    When to use: a soft form of ``spectral-norm``, which leaves layers that need it their size.
    """

    name: ClassVar[str] = "spectral-penalty"

    def __init__(self, weight: float = 0.01, iterations: int = 1, interval: int = 1) -> None:
        super().__init__(interval)
        self.weight, self.iterations = weight, iterations
        self.layers: list[str] = []

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Start the power iteration of each layer."""
        for name, layer in discriminator.named_modules():
            if isinstance(layer, WEIGHTED):
                start = normalize(torch.randn(as_matrix(layer).shape[1]), dim=0)
                self.register_buffer(f"vector{len(self.layers)}", start)
                self.layers.append(name)
        return super().apply_to(discriminator, view)

    def discriminator_term(self, scored: Scored) -> Tensor:
        """The penalty, weighted."""
        layers = [scored.critic.get_submodule(name) for name in self.layers]
        vectors = [self.get_buffer(f"vector{number}") for number in range(len(layers))]
        return self.weight * spectral_penalty(layers, vectors, self.iterations)
