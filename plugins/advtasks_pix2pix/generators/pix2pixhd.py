"""The coarse-to-fine generator of pix2pixHD (Wang et al. 2018, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from advtasks_pix2pix.generators.blocks import Generator, Norm, ResidualBlock, Upsample, initialize, make_norm
from advtasks_pix2pix.generators.blocks import make_upsample as enlarge
from advtasks_pix2pix.generators.resnet import trunk


class _Enhancer(nn.Module):
    """Twice the resolution of what it is given: its own first layers, added to the coarser features."""

    def __init__(self, inputs: int, width: int, blocks: int, norm: Norm, upsample: Upsample) -> None:
        super().__init__()
        bias = norm != "batch"
        self.before = nn.Sequential(
            nn.Conv2d(inputs, width, 7, 1, 3, bias=bias, padding_mode="reflect"),
            make_norm(norm, width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias),
            make_norm(norm, 2 * width),
            nn.ReLU(),
        )
        self.after = nn.Sequential(
            *(ResidualBlock(2 * width, norm, 0.0, "same") for _ in range(blocks)),
            enlarge(upsample, 2 * width, width, 3, bias),
            make_norm(norm, width),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, 2·width, H/2, W/2) to (N, width, H, W)."""
        features: Tensor = self.after(self.before(x) + coarse)
        return features


class Pix2PixHD(Generator):
    """A global network at low resolution and `enhancers` that double it. (N, in_channels, H, W) to (N, out_channels,
    H, W), both in [0, 1]; H and W multiples of 2^(downs + enhancers + 2).

    Args:
        width: features of the global network at its full resolution; each enhancer has half as many.
        downs, blocks: of the global network.
        enhancers: 0 is the global network alone.
        enhancer_blocks: residual blocks of each enhancer.
        norm, upsample, noise_channels: see :class:`advtasks_pix2pix.generators.unet.UNet`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        downs: int = 4,
        blocks: int = 9,
        enhancers: int = 1,
        enhancer_blocks: int = 3,
        norm: Norm = "instance",
        upsample: Upsample = "resize",
        noise_channels: int = 0,
    ) -> None:
        super().__init__(in_channels, out_channels, noise_channels)
        self.multiple_of = 2 ** (downs + enhancers + 2)
        inputs = in_channels + noise_channels
        self.coarse = trunk(inputs, width, downs, blocks, norm, upsample, 0.0, "same")
        self.enhancers = nn.ModuleList()
        for _ in range(enhancers):
            width //= 2
            self.enhancers.append(_Enhancer(inputs, width, enhancer_blocks, norm, upsample))
        self.head = nn.Conv2d(width, out_channels, 7, 1, 3, padding_mode="reflect")
        initialize(self)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """See the class."""
        pyramid = [self.seen(x, noise)]
        for _ in self.enhancers:
            pyramid.append(avg_pool2d(pyramid[-1], 3, 2, 1, count_include_pad=False))
        features = self.coarse(pyramid.pop())
        for enhancer in self.enhancers:
            features = enhancer(pyramid.pop(), features)
        return (torch.tanh(self.head(features).float()) + 1) / 2
