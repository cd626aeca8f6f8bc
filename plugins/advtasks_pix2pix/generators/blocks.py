"""What the generators share: norms, enlargement, residual blocks, initialisation."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, dropout, interpolate, pad

from advtasks.errors import UsageError
from advtasks_pix2pix.generators.small_maps import SmallMapConvTranspose2d

Norm = Literal["instance", "batch", "group", "none"]
Upsample = Literal["resize", "transposed"]
TestTime = Literal["same", "paper"]

_LARGE = 32 * 32
"""Output pixels from which on folding a kernel costs less than it saves."""


def make_norm(norm: Norm, features: int, test_time: TestTime = "same") -> nn.Module:
    """A norm of maps (N, features, h, w).

    ``instance`` and ``group`` compute the same in training and evaluation, for each picture alone. ``batch`` is the
    paper's; with `test_time` ``paper`` it takes the statistics of the pictures at hand in evaluation, too.
    """
    if norm == "instance":
        return nn.InstanceNorm2d(features)
    if norm == "batch":
        return nn.BatchNorm2d(features, track_running_stats=test_time == "same")
    if norm == "group":
        return nn.GroupNorm(max(features // 16, 1), features)
    if norm == "none":
        return nn.Identity()
    raise UsageError(f"norm is instance, batch, group or none, not {norm!r}")


class Dropout(nn.Module):
    """Dropout that `test_time` ``paper`` leaves on in evaluation (Isola et al. 2017, section 3.2)."""

    def __init__(self, share: float, test_time: TestTime) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise UsageError(f"dropout is a share of at least 0 and below 1, got {share}")
        self.share, self.always = share, test_time == "paper"

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return dropout(x, self.share, training=self.training or self.always) if self.share else x


class ResizeConv2d(nn.Conv2d):
    """Nearest-neighbour enlargement by 2, then a 3×3 convolution (Odena et al. 2016): every output pixel sees equally
    many weights, so there is no checkerboard.

    On large maps both are computed as one transposed convolution whose kernel is folded from this one's: the output is
    the same, at 4 instead of 9 products for each pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, 1, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) to (N, out, 2h, 2w)."""
        if 4 * x.shape[-2] * x.shape[-1] < _LARGE:
            return conv2d(interpolate(x, scale_factor=2.0, mode="nearest"), self.weight, self.bias, padding=1)
        flipped = pad(self.weight.flip(2, 3), (1, 1, 1, 1))
        rows = flipped[:, :, 1:] + flipped[:, :, :-1]
        kernel = (rows[..., 1:] + rows[..., :-1]).transpose(0, 1)
        return conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def make_upsample(upsample: Upsample, inputs: int, outputs: int, kernel: int, bias: bool) -> nn.Module:
    """Enlargement by 2; ``transposed`` with a kernel of 4, or of 3 as CycleGAN has it."""
    if upsample == "resize":
        return ResizeConv2d(inputs, outputs, bias=bias)
    if upsample == "transposed":
        return SmallMapConvTranspose2d(inputs, outputs, kernel, 2, 1, output_padding=4 - kernel, bias=bias)
    raise UsageError(f"upsample is resize or transposed, not {upsample!r}")


class ResidualBlock(nn.Module):
    """``x + norm(conv(relu(norm(conv(x)))))`` under reflection (Johnson et al. 2016)."""

    def __init__(self, features: int, norm: Norm, share: float, test_time: TestTime) -> None:
        super().__init__()
        bias = norm != "batch"
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, 1, 1, bias=bias, padding_mode="reflect"),
            make_norm(norm, features, test_time),
            nn.ReLU(),
            Dropout(share, test_time),
            nn.Conv2d(features, features, 3, 1, 1, bias=bias, padding_mode="reflect"),
            make_norm(norm, features, test_time),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        residual: Tensor = self.body(x)
        return x + residual


@torch.no_grad()
def initialize(network: nn.Module) -> None:
    """Weights of convolutions from N(0, 0.02), those of norms from N(1, 0.02), biases 0 (Isola et al. 2017, section
    6.2)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class Generator(nn.Module):
    """What all of them have: pictures in [0, 1] at both ends, and noise beside the input where it is wanted.

    Args:
        in_channels, out_channels: of the pictures; labels are one channel a class.
        noise_channels: numbers drawn for each picture that the network sees beside it at every pixel, so that one input
            has several outputs.
    """

    receptive_radius: int | None = None
    """Norms over the picture make every pixel depend on all."""
    multiple_of: int = 1

    def __init__(self, in_channels: int, out_channels: int, noise_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.noise_channels = in_channels, out_channels, noise_channels

    @property
    def is_random(self) -> bool:
        """Whether dropout stays on in use, so that an input has several outputs."""
        return any(isinstance(module, Dropout) and module.always and module.share > 0 for module in self.modules())

    def deterministic(self) -> Generator:
        """A copy without the dropout that stays on; itself where there is none."""
        if not self.is_random:
            return self
        double = copy.deepcopy(self)
        for module in double.modules():
            if isinstance(module, Dropout) and module.always:
                module.share = 0.0
        return double

    def seen(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """The input in [-1, 1] with its noise (N, noise_channels); without one drawn for it, 0: the mean."""
        if any(side % self.multiple_of for side in x.shape[-2:]):
            raise ValueError(f"{tuple(x.shape[-2:])} are not multiples of {self.multiple_of}; pad and crop")
        x = x * 2 - 1
        if not self.noise_channels:
            return x
        if noise is None:
            noise = x.new_zeros(len(x), self.noise_channels)
        return torch.cat((x, noise.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[-2:])), 1)
