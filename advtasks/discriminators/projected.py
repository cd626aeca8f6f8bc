"""Projected GAN: critics on mixed features of a frozen network (Sauer et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu

from advtasks import components
from advtasks.discriminators.conditioning import join_features, rgb_and_condition
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.features import FeatureNetwork
from advtasks.layers.spectral import spectral_norm

SCALES = 4


class ProjectedDiscriminator(Discriminator):
    """Four small critics, one for each of the four deepest scales of a frozen network (Sauer et al. 2021, section 3).

    Features are mixed across channels by random 1×1 convolutions (CCM) and across scales, deep to shallow, by random
    3×3 convolutions and bilinear enlargement (CSM, section 3.2); neither is ever trained. The small critics halve 4,
    3, 2 and 1 times by convolutions with spectral norm and end on the same grid, one logit for 64×64 pixels, where the
    sides are multiples of 64. Their logits are shown side by side, so the loss is the mean over scales where the paper
    has the sum. Instead of the paper's batch norm there is none, so each sample is judged alone; pictures keep
    their size.

    The frozen network is no part of :meth:`parameters`, of the state or of the module tree (spectral norm and other
    regularizers do not find it); it moves with the critic. The random mixing is stored as buffers and, at first,
    depends on `seed` alone. A condition is pooled to the size of each scale and joins its mixed features by channels.

    When to use: for natural pictures; it learns in a fraction of the steps. With ``hinge``. Do not measure with the
    network that judges.

    Args:
        in_channels: channels of picture and condition together; the picture is RGB.
        width: channels of the mixed features at the shallowest of the four scales; twice as many at each deeper one.
        features: the frozen network, by name, with four scales or more.
        seed: of the random mixing.
    """

    def __init__(
        self, in_channels: int = 3, width: int = 32, features: str = "efficientnet-lite0", seed: int = 0
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        network: FeatureNetwork = components.build("features", features)
        self._frozen = (network,)  # in a tuple, so that it is no sub-module
        with torch.no_grad():
            channels = [found.shape[1] for found in network(torch.zeros(1, 3, 64, 64))][-SCALES:]
        mixed = [width * 2**scale for scale in range(SCALES)]
        draws = torch.Generator().manual_seed(seed)

        def store(name: str, outputs: int, inputs: int, kernel: int) -> None:
            bound = math.sqrt(2 / (inputs * kernel**2))  # He et al. 2015, as in the paper's section 3.2
            self.register_buffer(name, torch.randn(outputs, inputs, kernel, kernel, generator=draws) * bound)

        for scale in range(SCALES):
            store(f"across_channels{scale}", mixed[scale], channels[scale], 1)
        for scale in range(SCALES - 1):
            store(f"across_scales{scale}", mixed[scale], mixed[scale + 1], 3)
        extra = in_channels - 3
        self.critics = nn.ModuleList(_Small(mixed[scale] + extra, mixed[-1], SCALES - scale) for scale in range(SCALES))
        self.feature_width = mixed[-1]

    def _apply(self, fn: Callable[[Tensor], Tensor], *others: Any, **named: Any) -> ProjectedDiscriminator:
        """Moves and casts the frozen network, too."""
        self._frozen[0]._apply(fn, *others, **named)
        return super()._apply(fn, *others, **named)

    def mixed(self, picture: Tensor) -> list[Tensor]:
        """The randomly mixed features of the four scales, shallow to deep."""
        found = self._frozen[0](picture)[-SCALES:]
        mixed = [conv2d(x, self.get_buffer(f"across_channels{scale}")) for scale, x in enumerate(found)]
        for scale in range(SCALES - 2, -1, -1):
            deeper = conv2d(mixed[scale + 1], self.get_buffer(f"across_scales{scale}"), padding=1)
            up = interpolate(deeper, size=mixed[scale].shape[-2:], mode="bilinear", align_corners=False)
            mixed[scale] = (mixed[scale] + up) * math.sqrt(0.5)  # the variance stays
        return mixed

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, L) of all places of all scales, shallow scales first, and each critic's deepest features."""
        picture, joined = rgb_and_condition(picture, condition, self.in_channels, "projected")
        logits, features = [], []
        for critic, x in zip(self.critics, self.mixed(picture), strict=True):
            found = critic(join_features(x, joined))
            features.append(found[0])
            logits.append(found[1].flatten(1))
        return CriticOutput(torch.cat(logits, 1), features)


class _Small(nn.Module):
    """Convolutions of stride 2 with spectral norm, and a logit at each place."""

    def __init__(self, inputs: int, outputs: int, halvings: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for number in range(halvings):
            layer = nn.Conv2d(inputs if number == 0 else outputs, outputs, 3, 2, 1)
            self.layers.append(spectral_norm(layer))
        self.head = nn.Conv2d(outputs, 1, 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) to the deepest features and the logits."""
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
        return x, self.head(x)
