"""A critic that sees the details of a picture and not its flat parts (WGSR: Korkmaz, Tekalp & Dogan 2024)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from advtasks.discriminators.conditioning import join_features, rgb_and_condition
from advtasks.discriminators.discriminator import CriticOutput, Discriminator
from advtasks.discriminators.patch import PatchDiscriminator
from advtasks.errors import UsageError
from advtasks.layers.haar import haar, stationary_haar


class WaveletDiscriminator(Discriminator):
    """A patch critic on the detail bands of a Haar transform: horizontal, vertical and diagonal differences.

    The low band, where fidelity is decided, is left to the task's own losses; what the adversary asks for can only be
    detail. A condition joins the bands by channels.

    Args:
        in_channels: channels of picture and condition together; the picture is RGB.
        width: of the first layer.
        layers: stride-2 layers of the patch critic.
        transform: ``stationary``, the paper's, keeps the resolution and does not depend on where a detail lies in a 2×2
            square; ``orthonormal`` has a quarter of the places.
        levels: of the stationary transform, 1 to 3; level j has differences of 2^j pixels.
        norm: of the patch critic; none, with spectral norm or penalties.

    Raises:
        UsageError: levels are not 1 to 3, or not 1 where the transform is not stationary.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 64,
        layers: int = 2,
        transform: Literal["stationary", "orthonormal"] = "stationary",
        levels: int = 1,
        norm: Literal["batch", "instance", "none"] = "none",
    ) -> None:
        super().__init__()
        if not 1 <= levels <= (3 if transform == "stationary" else 1):
            raise UsageError(f"wavelet: levels are 1 to 3 with transform=stationary, else 1; got {levels}")
        self.in_channels, self.transform, self.levels = in_channels, transform, levels
        self.critic = PatchDiscriminator(9 * levels + in_channels - 3, width, layers, norm)
        self.feature_width = self.critic.feature_width

    def bands(self, picture: Tensor) -> Tensor:
        """The details (N, 9·levels, h, w) of pictures (N, 3, H, W), in [-1, 1] for pictures in [0, 1]."""
        if self.transform == "orthonormal":
            height, width = picture.shape[-2:]
            if height % 2 or width % 2:
                picture = pad(picture, (0, width % 2, 0, height % 2), mode="replicate")
            return haar(picture)[1]
        found = []
        for level in range(self.levels):
            picture, details = stationary_haar(picture, level)
            found.append(details)
        return torch.cat(found, 1)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits and features of the patch critic."""
        picture, joined = rgb_and_condition(picture, condition, self.in_channels, "wavelet")
        bands = join_features(self.bands(picture), joined)
        return self.critic.output((bands + 1) / 2)  # it maps [0, 1] to [-1, 1]
