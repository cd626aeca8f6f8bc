"""The U-Net of pix2pix (Isola et al. 2017, sections 3.2.1 and 6.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from advtasks.errors import UsageError
from advtasks_pix2pix.generators.blocks import Dropout, Generator, Norm, TestTime, Upsample, initialize, make_norm
from advtasks_pix2pix.generators.blocks import make_upsample as enlarge
from advtasks_pix2pix.generators.small_maps import SmallMapConv2d


class UNet(Generator):
    """Convolutions of 4×4 that halve the picture `levels` times, as many that double it, and what each saw handed over.

    (N, in_channels, H, W) to (N, out_channels, H, W), both in [0, 1]; H and W multiples of 2^levels. With transposed
    convolutions 54.414 M parameters at 8 levels (``unet_256``) and 41.829 M at 7 (``unet_128``).

    Args:
        width: features of the first level; later ones have up to 8 times as many.
        norm: see :func:`advtasks_pix2pix.generators.blocks.make_norm`. The first and the innermost level have none.
        upsample: ``resize`` (no checkerboard) or ``transposed`` (the paper's).
        dropout: share of values dropped in the three decoder levels of full width next to the innermost one.
        test_time: ``same``: evaluation computes one output for one input. ``paper``: dropout stays on, and batch norm
            takes the statistics of the pictures at hand.
        noise_channels: see :class:`~advtasks_pix2pix.generators.blocks.Generator`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        levels: int = 8,
        norm: Norm = "instance",
        upsample: Upsample = "resize",
        dropout: float = 0.0,
        test_time: TestTime = "same",
        noise_channels: int = 0,
    ) -> None:
        super().__init__(in_channels, out_channels, noise_channels)
        if levels < 2:
            raise UsageError(f"unet: levels must be at least 2, got {levels}")
        self.multiple_of = 2**levels
        widths = [width * min(2**level, 8) for level in range(levels)]
        bias, last = norm != "batch", levels - 1
        self.down, self.down_norm = nn.ModuleList(), nn.ModuleList()
        self.up, self.up_norm, self.drop = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inputs = in_channels + noise_channels
        for level, features in enumerate(widths):
            self.down.append(SmallMapConv2d(inputs, features, 4, 2, 1, bias=bias))
            normed = 0 < level < last
            self.down_norm.append(make_norm(norm if normed else "none", features, test_time))
            outputs = widths[level - 1] if level else out_channels
            given = features if level == last else 2 * features
            self.up.append(enlarge(upsample, given, outputs, 4, bias=bias or not level))
            self.up_norm.append(make_norm(norm if level else "none", outputs, test_time))
            self.drop.append(Dropout(dropout if 4 <= level < last else 0.0, test_time))
            inputs = features
        initialize(self)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """See the class."""
        x, skips = self.seen(x, noise), []
        for level, (down, norm) in enumerate(zip(self.down, self.down_norm, strict=True)):
            x = norm(down(leaky_relu(x, 0.2) if level else x))
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = skips[level] if level == len(self.up) - 1 else torch.cat((skips[level], x), 1)
            x = self.drop[level](self.up_norm[level](self.up[level](relu(x))))
        return (torch.tanh(x.float()) + 1) / 2
