"""PatchGAN (Isola et al. 2017, section 3.2.2): a logit for each overlapping patch."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.errors import UsageError


class PatchDiscriminator(Discriminator):
    """C64-C128-C256-C512 with 4×4 convolutions; 3 `layers` see 70×70 pixels. Takes (N, C, H, W) in [0, 1] and gives
    logits (N, 1, h, w).

    Args:
        in_channels: channels of picture and condition together.
        features: width of the first layer.
        layers: stride-2 layers, 1 to 5; a logit sees 16, 34, 70, 142 or 286 pixels. 0 is the pixel critic (appendix
            6.1.2 of the paper): 1×1 convolutions, a logit for each pixel.
        norm: ``batch``, ``instance``, or ``none`` (with spectral norm or penalties).

    Raises:
        UsageError: layers are not 0 to 5.
    """

    def __init__(
        self,
        in_channels: int = 3,
        features: int = 64,
        layers: int = 3,
        norm: Literal["batch", "instance", "none"] = "instance",
    ) -> None:
        super().__init__()
        if not 0 <= layers <= 5:
            raise UsageError(f"patch: layers must be 0 to 5, got {layers}")
        widths = [min(features * 2**i, features * 8) for i in range(max(layers, 1) + 1)]
        self.in_channels = in_channels
        self.feature_width = widths[-1]
        kernel = 4 if layers else 1
        self.blocks = nn.ModuleList([self._block(in_channels, widths[0], kernel, 2, "none")])
        for i in range(1, len(widths)):
            self.blocks.append(self._block(widths[i - 1], widths[i], kernel, 2 if i < layers else 1, norm))
        self.head = nn.Conv2d(widths[-1], 1, kernel, 1, kernel // 4)

    @staticmethod
    def _block(inputs: int, outputs: int, kernel: int, stride: int, norm: str) -> nn.Sequential:
        stride, padding = (stride, 1) if kernel > 1 else (1, 0)
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=norm != "batch")]
        if norm == "batch":
            layers.append(nn.BatchNorm2d(outputs))
        elif norm == "instance":
            layers.append(nn.InstanceNorm2d(outputs))
        return nn.Sequential(*layers, nn.LeakyReLU(0.2))

    @property
    def receptive_field(self) -> int:
        """Side of the square of pixels that one logit sees."""
        side, step = 1, 1
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                side += (module.kernel_size[0] - 1) * step
                step *= module.stride[0]
        return side

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1, h, w), and the activations of each block."""
        x = join(picture, condition, self.in_channels)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return CriticOutput(self.head(x), features)
