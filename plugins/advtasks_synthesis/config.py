"""Configuration of the points task. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from advtasks.config import RunConfig
from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PointsConfig(RunConfig):
    """A run on a mixture of Gaussians in the plane."""

    distribution: Literal["ring", "grid"] = "ring"
    """ring: 8 modes on the unit circle, sigma 0.01; grid: 25 modes at -4..4, sigma 0.05 (Metz et al. 2017;
    Srivastava et al. 2017)."""
    conditional: bool = False
    """Tell the generator the mode of the real point, and show it to the adversary as class."""
    latent: int = 2
    """Dimension of the noise."""
    width: int = 128
    """Of the generator's hidden layers."""
    layers: int = 3
    """Hidden layers of the generator."""
    activation: Literal["leaky-relu", "tanh"] = "leaky-relu"
    """Of the generator."""
    samples: int = 2500
    """Points that a validation draws."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("latent", "width", "layers", "samples"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
