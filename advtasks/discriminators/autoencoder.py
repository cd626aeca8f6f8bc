"""Autoencoding critics: what they reconstruct well is real (EBGAN: Zhao et al. 2017; BEGAN: Berthelot et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, interpolate

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator


class AutoencodingDiscriminator(Discriminator):
    """The logit is minus the energy ``L(x) = mean |x - AE(x)|^eta``: as with every critic, larger is more real.

    The deepest features are the code, which the pulling-away term compares.

    Args:
        eta: 1 as in BEGAN's experiments (section 3.1), or 2.
    """

    autoencoding = True
    in_channels: int

    def __init__(self, eta: float = 1.0) -> None:
        super().__init__()
        self.eta = eta

    def reconstruct(self, joined: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The reconstruction of the joined input, and the encoder's activations with the code as the last one."""
        raise NotImplementedError

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1): minus the energy of each sample."""
        joined = join(picture, condition, self.in_channels)
        rebuilt, features = self.reconstruct(joined)
        energy = (joined - rebuilt).abs().pow(self.eta).flatten(1).mean(1, keepdim=True)
        return CriticOutput(-energy, features)


class ConvolutionalAutoencoder(AutoencodingDiscriminator):
    """Strided convolutions down, nearest-neighbour and convolution up, ELU between (BEGAN, figure 1); any size.

    Args:
        in_channels: channels of picture and condition together.
        width: of every layer.
        levels: how often the picture is halved.
        eta: the power in the energy.
    """

    def __init__(self, in_channels: int = 3, width: int = 64, levels: int = 3, eta: float = 1.0) -> None:
        super().__init__(eta)
        self.in_channels = in_channels
        self.feature_width = width
        self.first = nn.Conv2d(in_channels, width, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(levels))
        self.code = nn.Conv2d(width, width, 1)
        self.up = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(levels))
        self.last = nn.Conv2d(width, in_channels, 3, padding=1)

    def reconstruct(self, joined: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See the base class."""
        x = elu(self.first(joined))
        features, sizes = [x], []
        for layer in self.down:
            sizes.append(x.shape[2:])
            x = elu(layer(x))
            features.append(x)
        x = self.code(x)
        features.append(x)
        for layer, size in zip(self.up, reversed(sizes), strict=True):
            x = elu(layer(interpolate(x, size=size)))
        return self.last(x), features


class MLPAutoencoder(AutoencodingDiscriminator):
    """The same for points (N, C): one hidden layer to each side of the code.

    Args:
        in_channels: dimension of point and condition together.
        width: of the hidden layers.
        code: width of the code.
        eta: the power in the energy.
    """

    def __init__(self, in_channels: int = 2, width: int = 64, code: int = 2, eta: float = 1.0) -> None:
        super().__init__(eta)
        self.in_channels = in_channels
        self.feature_width = code
        self.encoder = nn.ModuleList([nn.Linear(in_channels, width), nn.Linear(width, code)])
        self.decoder = nn.ModuleList([nn.Linear(code, width), nn.Linear(width, in_channels)])

    def reconstruct(self, joined: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See the base class."""
        hidden = torch.tanh(self.encoder[0](joined))
        code = self.encoder[1](hidden)
        return self.decoder[1](torch.tanh(self.decoder[0](code))), [hidden, code]
