"""The critic of SRGAN (Ledig et al. 2017, figure 4), for any patch size from 32 pixels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from advtasks.discriminators.conditioning import join
from advtasks.discriminators.discriminator import CriticOutput, Discriminator


class VGGStyleDiscriminator(Discriminator):
    """Five pairs of 3×3 and strided 4×4 convolutions, then two linear layers.

    The state-dict names are those of BasicSR's ``VGGStyleDiscriminator``; weights of its 128-pixel form fit. Other
    patch sizes are pooled to 4×4 before the linear layers, which is the identity at 128 pixels.

    Args:
        in_channels: channels of picture and condition together.
        width: of the first layer; the deepest is 8 times as wide.
        norm: ``batch`` as in the paper, or ``none`` (with spectral norm or penalties).
    """

    def __init__(self, in_channels: int = 3, width: int = 64, norm: Literal["batch", "none"] = "batch") -> None:
        super().__init__()
        widths = [width, width * 2, width * 4, width * 8, width * 8]
        self.in_channels = inputs = in_channels
        self.feature_width = widths[-1]
        for i, outputs in enumerate(widths):
            first_norm = norm == "batch" and i > 0
            self.add_module(f"conv{i}_0", nn.Conv2d(inputs, outputs, 3, 1, 1, bias=not first_norm))
            if first_norm:
                self.add_module(f"bn{i}_0", nn.BatchNorm2d(outputs))
            self.add_module(f"conv{i}_1", nn.Conv2d(outputs, outputs, 4, 2, 1, bias=norm != "batch"))
            if norm == "batch":
                self.add_module(f"bn{i}_1", nn.BatchNorm2d(outputs))
            inputs = outputs
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.linear1 = nn.Linear(widths[-1] * 16, 100)
        self.linear2 = nn.Linear(100, 1)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits (N, 1), and the activations after each of the ten convolutions."""
        x = join(picture, condition, self.in_channels)
        layers = dict(self.named_children())
        features = []
        for i in range(5):
            for j in range(2):
                x = layers[f"conv{i}_{j}"](x)
                if f"bn{i}_{j}" in layers:
                    x = layers[f"bn{i}_{j}"](x)
                x = leaky_relu(x, 0.2)
                features.append(x)
        hidden = leaky_relu(self.linear1(self.pool(x).flatten(1)), 0.2)
        return CriticOutput(self.linear2(hidden), features)
