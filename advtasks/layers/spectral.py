"""Spectral normalisation of one layer, in full precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrizations import _SpectralNorm


class _InFullPrecision(_SpectralNorm):
    """torch's. Autocast on a GPU would take its products of matrix and vector in 16 bit (on a CPU it does not): another
    singular value than penalties see, and a gradient through 16-bit numbers."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def spectral_norm(layer: nn.Module, power_iterations: int = 1) -> nn.Module:
    """The layer with its weight divided by the weight's largest singular value (Miyato et al. 2018, algorithm 1), which
    `power_iterations` steps in each pass of training mode estimate, whatever the precision of the pass."""
    parametrizations.spectral_norm(layer, n_power_iterations=power_iterations)
    layer.parametrizations.weight[-1].__class__ = _InFullPrecision  # type: ignore[union-attr, index]
    return layer
