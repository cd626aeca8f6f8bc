"""The residual generator of Johnson et al. 2016, as CycleGAN and pix2pixHD's global network have it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks_pix2pix.generators.blocks import Generator, Norm, ResidualBlock, TestTime, Upsample, initialize, make_norm
from advtasks_pix2pix.generators.blocks import make_upsample as enlarge


def trunk(
    inputs: int, width: int, downs: int, blocks: int, norm: Norm, upsample: Upsample, dropout: float, test: TestTime
) -> nn.Sequential:
    """7×7, `downs` halvings, residual blocks, as many doublings: (N, inputs, H, W) to (N, width, H, W)."""
    bias = norm != "batch"

    def normed(layer: nn.Module, features: int) -> list[nn.Module]:
        return [layer, make_norm(norm, features, test), nn.ReLU()]

    layers = normed(nn.Conv2d(inputs, width, 7, 1, 3, bias=bias, padding_mode="reflect"), width)
    for level in range(downs):
        features = width * 2 ** (level + 1)
        layers += normed(nn.Conv2d(features // 2, features, 3, 2, 1, bias=bias), features)
    layers += [ResidualBlock(width * 2**downs, norm, dropout, test) for _ in range(blocks)]
    for level in reversed(range(downs)):
        features = width * 2**level
        layers += normed(enlarge(upsample, 2 * features, features, 3, bias), features)
    return nn.Sequential(*layers)


class ResNet(Generator):
    """(N, in_channels, H, W) to (N, out_channels, H, W), both in [0, 1]; H and W multiples of 2^(downs + 2).

    With transposed convolutions 11.378 M parameters at 9 blocks, 7.838 M at 6.

    Args:
        width: features at full resolution.
        downs: halvings; pix2pixHD's global network has 4.
        blocks: residual blocks at the lowest resolution.
        norm, upsample, test_time, noise_channels: see :class:`advtasks_pix2pix.generators.unet.UNet`.
        dropout: share of values dropped within each residual block.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        downs: int = 2,
        blocks: int = 9,
        norm: Norm = "instance",
        upsample: Upsample = "resize",
        dropout: float = 0.0,
        test_time: TestTime = "same",
        noise_channels: int = 0,
    ) -> None:
        super().__init__(in_channels, out_channels, noise_channels)
        self.multiple_of = 2 ** (downs + 2)  # so that maps are large enough to be reflected
        self.body = trunk(in_channels + noise_channels, width, downs, blocks, norm, upsample, dropout, test_time)
        self.head = nn.Conv2d(width, out_channels, 7, 1, 3, padding_mode="reflect")
        initialize(self)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """See the class."""
        return (torch.tanh(self.head(self.body(self.seen(x, noise))).float()) + 1) / 2
