"""Configuration of super-resolution. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from advtasks.config import PictureConfig
from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SuperResolutionConfig(PictureConfig):
    """A super-resolution run."""

    scale: Literal[2, 3, 4, 8] = 4
    """Enlargement."""
    generator: str = "srresnet"
    """Name of the network, with options: srresnet:features=48:blocks=8, rrdb, compact, span, safmn."""
    degradation: str = "bicubic"
    """How low-resolution sides are made: bicubic (MATLAB's), realesrgan, photo, blur, or the path of a YAML recipe; for
    pictures that have none of their own."""
    sharpen_target: bool = False
    """Pixel and perceptual terms see an unsharp-masked target, as in Real-ESRGAN, and a degradation starts from it; the
    critic sees the plain one."""
    random_scale: tuple[float, float] = (1.0, 1.0)
    """Training pictures are shrunk by a random factor of this range before a patch is cut, at most to the size of a
    patch; for pictures without a low-resolution side of their own."""
    patch: int = 32
    """Side of the training patches, in low-resolution pixels."""
    channel_shuffle: float = 0.0
    """Share of training patches whose colour channels are permuted (Yoo et al. 2020); helps where pictures are few."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degradation.lower().endswith((".yaml", ".yml")) and not self.degradation.startswith("{"):
            # a resumed run may start in another folder
            object.__setattr__(self, "degradation", str(Path(self.degradation).absolute()))
        low, high = self.random_scale
        if not 0 < low <= high <= 1:
            raise UsageError(
                f"random_scale is a range above 0 and up to 1, got {low:g} {high:g}: enlarged pictures are blurred "
                "targets"
            )
        if self.patch < 1:
            raise UsageError(f"patch must be at least 1, got {self.patch}")
        if not 0 <= self.channel_shuffle <= 1:
            raise UsageError(f"channel_shuffle is a share from 0 to 1, got {self.channel_shuffle}")

    @property
    def makes_low(self) -> bool:
        """Whether the low-resolution side of training patches is made on the device, anew at every step."""
        return self.degradation != "bicubic" or self.random_scale != (1, 1)
