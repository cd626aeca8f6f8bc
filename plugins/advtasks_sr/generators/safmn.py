"""Spatially-adaptive feature modulation (Sun et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, gelu, interpolate, pixel_shuffle

from advtasks.errors import UsageError

LEVELS = 4
"""Resolutions of the pyramid: whole, 1/2, 1/4 and 1/8 (section 3.1)."""
COARSEST = 2 ** (LEVELS - 1)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each place, so tiles keep their values."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        centred = x - x.mean(1, keepdim=True)
        unit = centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * unit + self.bias[:, None, None]


class Modulation(nn.Module):
    """SAFM: a quarter of the channels for each level, pooled by maximum, convolved and enlarged; what comes out of all
    modulates the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        width = features // LEVELS
        self.mfr = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1, groups=width) for _ in range(LEVELS))
        self.aggr = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        height, width = x.shape[-2:]
        found = []
        for level, (part, layer) in enumerate(zip(x.chunk(LEVELS, 1), self.mfr, strict=True)):
            if level:
                pooled = adaptive_max_pool2d(part, (max(height >> level, 1), max(width >> level, 1)))
                found.append(interpolate(layer(pooled), size=(height, width), mode="nearest"))
            else:
                found.append(layer(part))
        return gelu(self.aggr(torch.cat(found, 1))) * x


class ChannelMixer(nn.Module):
    """CCM: a 3×3 convolution that widens and a 1×1 one that narrows."""

    def __init__(self, features: int, growth: float) -> None:
        super().__init__()
        hidden = int(features * growth)
        self.ccm = nn.Sequential(nn.Conv2d(features, hidden, 3, 1, 1), nn.GELU(), nn.Conv2d(hidden, features, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        result: Tensor = self.ccm(x)
        return result


class Block(nn.Module):
    """Modulation and channel mixer, each behind a norm and with a residual around it."""

    def __init__(self, features: int, growth: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(features), ChannelNorm(features)
        self.safm, self.ccm = Modulation(features), ChannelMixer(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        x = x + self.safm(self.norm1(x))
        result: Tensor = x + self.ccm(self.norm2(x))
        return result


class SAFMN(nn.Module):
    """A pyramid in each block at the cost of a small plain network: 240 thousand parameters at scale 4. State-dict
    names are those of the authors and of spandrel.

    Args:
        scale: any whole number.
        features: width, a multiple of 4.
        blocks: how many.
        growth: of the channel mixer.
    """

    def __init__(self, scale: int = 4, features: int = 36, blocks: int = 8, growth: float = 2.0) -> None:
        super().__init__()
        if features % LEVELS:
            raise UsageError(f"safmn: features must be a multiple of {LEVELS}, got {features}")
        self.scale = scale
        self.to_feat = nn.Conv2d(3, features, 3, 1, 1)
        self.feats = nn.Sequential(*(Block(features, growth) for _ in range(blocks)))
        self.to_img = nn.Sequential(nn.Conv2d(features, 3 * scale**2, 3, 1, 1))

    @property
    def multiple_of(self) -> int:
        """Input sides must be multiples of this: then each pooled value belongs to one square of 8×8 pixels."""
        return COARSEST

    @property
    def receptive_radius(self) -> int:
        """Input pixels to each side that an output pixel depends on, for sides that are multiples of 8.

        A block sees one pixel further by its mixer, and from there to the far end of the next square: from the end of
        a square that is 16 pixels. First and last convolution add one pixel each.
        """
        return 2 * COARSEST * len(self.feats) + 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale)."""
        shallow = self.to_feat(x)
        return pixel_shuffle(self.to_img(self.feats(shallow) + shallow), self.scale).float()
