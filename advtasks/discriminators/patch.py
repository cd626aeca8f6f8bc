"""PatchGAN (Isola et al. 2017, section 3.2.2): a logit for each overlapping patch."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.errors import UsageError


class PatchDiscriminator(Discriminator):
    """C64-C128-C256-C512 with 4×4 convolutions; 3 `layers` see 70×70 pixels.

    Args:
        in_channels: channels of picture and condition together.
        features: width of the first layer.
        layers: stride-2 layers, 1 to 5. The receptive field is 16, 34, 70, 142 or 286 pixels.
        norm: ``batch``, ``instance``, or ``none`` (with spectral norm or penalties).
    """

    def __init__(
        self,
        in_channels: int = 3,
        features: int = 64,
        layers: int = 3,
        norm: Literal["batch", "instance", "none"] = "instance",
    ) -> None:
        super().__init__()
        if not 1 <= layers <= 5:
            raise UsageError(f"patch: layers must be 1 to 5, got {layers}")
        widths = [min(features * 2**i, features * 8) for i in range(layers + 1)]
        self.in_channels = in_channels
        self.feature_width = widths[-1]
        self.blocks = nn.ModuleList([self._block(in_channels, widths[0], 2, "none")])
        for i in range(1, layers + 1):
            self.blocks.append(self._block(widths[i - 1], widths[i], 2 if i < layers else 1, norm))
        self.head = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int, norm: str) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, stride, 1, bias=norm != "batch")]
        if norm == "batch":
            layers.append(nn.BatchNorm2d(outputs))
        elif norm == "instance":
            layers.append(nn.InstanceNorm2d(outputs))
        return nn.Sequential(*layers, nn.LeakyReLU(0.2))

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1, h, w), and the activations of each block."""
        x = join(picture, condition, self.in_channels)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return CriticOutput(self.head(x), features)
