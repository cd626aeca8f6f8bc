"""SRVGGNetCompact of Real-ESRGAN (Wang et al. 2021): everything at low resolution."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle


class Compact(nn.Module):
    """A plain stack of convolutions with PReLU on top of nearest-neighbour enlargement. State-dict names are those of
    ``SRVGGNetCompact`` (621,424 parameters at 64 x 16), whose weights load directly.

    Args:
        scale: any whole number.
        features: width.
        convolutions: in the body, between the first and the last one.
    """

    def __init__(self, scale: int = 4, features: int = 64, convolutions: int = 16) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, 1, 1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, 1, 1), nn.PReLU(features)]
        layers.append(nn.Conv2d(features, 3 * scale**2, 3, 1, 1))
        self.body = nn.ModuleList(layers)

    @property
    def receptive_radius(self) -> int:
        """Input pixels to each side that an output pixel depends on."""
        return (len(self.body) + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale)."""
        base = interpolate(x, scale_factor=self.scale, mode="nearest")
        for layer in self.body:
            x = layer(x)
        return base.float() + pixel_shuffle(x, self.scale).float()
