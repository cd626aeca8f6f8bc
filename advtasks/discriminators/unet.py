"""U-Net critic with spectral norm (Real-ESRGAN: Wang et al. 2021, section 3.3; Schonfeld et al. 2020)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.layers.spectral import spectral_norm


class UNetDiscriminator(Discriminator):
    """Three steps down, three up with additive skips: one logit a pixel. Any size from 8 pixels.

    The layer names are those of BasicSR's ``UNetDiscriminatorSN``, whose weights load directly.

    Args:
        in_channels: channels of picture and condition together.
        width: of the first layer.
    """

    def __init__(self, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()

        def normalized(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
            layer = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False)
            return spectral_norm(layer)

        self.in_channels = in_channels
        self.feature_width = width
        self.conv0 = nn.Conv2d(in_channels, width, 3, 1, 1)
        self.conv1 = normalized(width, width * 2, 4, 2)
        self.conv2 = normalized(width * 2, width * 4, 4, 2)
        self.conv3 = normalized(width * 4, width * 8, 4, 2)
        self.conv4 = normalized(width * 8, width * 4, 3, 1)
        self.conv5 = normalized(width * 4, width * 2, 3, 1)
        self.conv6 = normalized(width * 2, width, 3, 1)
        self.conv7 = normalized(width, width, 3, 1)
        self.conv8 = normalized(width, width, 3, 1)
        self.conv9 = nn.Conv2d(width, 1, 3, 1, 1)
        self.register_load_state_dict_pre_hook(_read_hook_style_names)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1, H, W), and the activations of each level, down and up, in the order of computation."""
        x0 = leaky_relu(self.conv0(join(picture, condition, self.in_channels)), 0.2)
        x1 = leaky_relu(self.conv1(x0), 0.2)
        x2 = leaky_relu(self.conv2(x1), 0.2)
        x3 = leaky_relu(self.conv3(x2), 0.2)
        x4 = leaky_relu(self.conv4(_up(x3, x2)), 0.2) + x2
        x5 = leaky_relu(self.conv5(_up(x4, x1)), 0.2) + x1
        x6 = leaky_relu(self.conv6(_up(x5, x0)), 0.2) + x0
        x = leaky_relu(self.conv7(x6), 0.2)
        x = leaky_relu(self.conv8(x), 0.2)
        return CriticOutput(self.conv9(x), [x0, x1, x2, x3, x4, x5, x6])


def _up(x: Tensor, like: Tensor) -> Tensor:
    return interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _read_hook_style_names(module: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    """Rename the weights of the older hook-style spectral norm, which community files hold."""
    renamed = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
    for key in list(state):
        layer, dot, last = key.rpartition(".")
        if dot and key.startswith(prefix) and last in renamed:
            state[f"{layer}.parametrizations.weight.{renamed[last]}"] = state.pop(key)
