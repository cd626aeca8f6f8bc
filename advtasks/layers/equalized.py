"""Equalised learning rate (progressive growing: Karras et al. 2018, section 4.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from advtasks.errors import UsageError

EQUALIZED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


class _Scale(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.gain


@torch.no_grad()
def equalize_learning_rate(module: nn.Module, gain: float = math.sqrt(2)) -> None:
    """Draw the weights of linear and convolution layers from N(0, 1), and scale them by He's constant
    ``gain / sqrt(fan_in)`` each time they are used; biases become 0. Every weight then learns at the same speed
    under Adam, whatever its layer's width.

    Raises:
        UsageError: a layer's weight is rescaled already, by spectral norm for example.
    """
    for layer in module.modules():
        if isinstance(layer, EQUALIZED):
            if parametrize.is_parametrized(layer, "weight"):
                raise UsageError("equalized-lr and spectral-norm undo each other: both rescale the weights; choose one")
            inputs = layer.weight.shape[0] if isinstance(layer, nn.ConvTranspose2d) else layer.weight.shape[1]
            fan_in = inputs * layer.weight[0, 0].numel()
            nn.init.normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            parametrize.register_parametrization(layer, "weight", _Scale(gain / math.sqrt(fan_in)))


def is_equalized(layer: nn.Module) -> bool:
    """Whether :func:`equalize_learning_rate` changed the layer."""
    found = getattr(layer, "parametrizations", {})
    return "weight" in found and any(isinstance(item, _Scale) for item in found["weight"])
