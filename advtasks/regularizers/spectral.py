"""Spectral normalisation (Miyato et al. 2018)."""

from __future__ import annotations

from typing import ClassVar

from torch import nn
from torch.nn.utils import parametrizations, parametrize

from advtasks.regularizers.regularizer import Regularizer

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Embedding)


def apply_spectral_norm(module: nn.Module, power_iterations: int = 1) -> None:
    """Divide the weight of each linear, convolution and embedding layer by its largest singular value, W as
    (out, in·kh·kw), estimated by power iteration (Miyato et al. 2018, algorithm 1). Layers that have it are left."""
    for layer in module.modules():
        if isinstance(layer, _LAYERS) and not parametrize.is_parametrized(layer, "weight"):
            parametrizations.spectral_norm(layer, n_power_iterations=power_iterations)


class SpectralNorm(Regularizer):
    """Spectral norm on every layer of the critic; it adds no term."""

    name: ClassVar[str] = "spectral-norm"

    def __init__(self, power_iterations: int = 1) -> None:
        super().__init__()
        self.power_iterations = power_iterations

    def apply_to(self, discriminator: nn.Module) -> None:
        """Normalise the critic's layers."""
        apply_spectral_norm(discriminator, self.power_iterations)
