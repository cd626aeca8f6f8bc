"""What a degradation is made of: frozen records, one for each section of a YAML file. Imports no torch.

Ranges are ``[low, high]``, drawn uniformly; shares and probabilities go from 0 to 1. A section that a file leaves out
does not take part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from advtasks.config import Options

Range = tuple[float, float]
Mode = Literal["area", "bilinear", "bicubic", "antialiased"]


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a share from 0 to 1, got {value}")


def _range(name: str, value: Range, least: float, most: float = float("inf")) -> None:
    low, high = value
    if not least <= low <= high <= most:
        within = f"from {least:g}" + (f" to {most:g}" if most < float("inf") else "")
        raise ValueError(f"{name} is a range [low, high] {within}, got [{low:g}, {high:g}]")


def _sizes(name: str, value: tuple[int, int]) -> None:
    low, high = value
    if not 1 <= low <= high or low % 2 == 0 or high % 2 == 0:
        raise ValueError(f"{name} is a range of odd numbers, got [{low}, {high}]")


@dataclass(frozen=True, kw_only=True)
class Shapes(Options):
    """How often each shape of blur is drawn, relative to each other."""

    isotropic: float = 0.0
    """Round Gaussian."""
    anisotropic: float = 0.0
    """Gaussian of two widths, turned by any angle."""
    generalized_isotropic: float = 0.0
    """exp(-d^(2 beta) / 2) of the distance d in sigmas; beta 1 is the Gaussian."""
    generalized_anisotropic: float = 0.0
    """The same, of two widths."""
    plateau_isotropic: float = 0.0
    """1 / (1 + d^(2 beta)): a flat top, as of a lens out of focus."""
    plateau_anisotropic: float = 0.0
    """The same, of two widths."""

    def __post_init__(self) -> None:
        for name, value in self.weights().items():
            if value < 0:
                raise ValueError(f"{name} must be at least 0, got {value}")

    def weights(self) -> dict[str, float]:
        """By name, in the order of the fields."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


@dataclass(frozen=True, kw_only=True)
class Blur(Options):
    """A blur with a kernel of its own for each picture."""

    probability: float = 1.0
    """Of any blur at all."""
    sinc: float = 0.0
    """Share of sinc kernels, which ring and overshoot; the others are drawn by `shapes`."""
    shapes: Shapes = field(default_factory=lambda: Shapes(isotropic=1.0))
    sigma: Range = (0.2, 3.0)
    """Width in pixels; of anisotropic kernels both widths."""
    generalized_beta: Range = (0.5, 4.0)
    """Half of the draws come from below 1, half from above."""
    plateau_beta: Range = (1.0, 2.0)
    """Half of the draws come from below 1 (1 itself where the range starts there), half from above."""
    sizes: tuple[int, int] = (7, 21)
    """Side of the kernels, odd numbers."""
    cutoff: Range = (0.2, 1.0)
    """Frequency at which sinc kernels cut, in units of the highest one; those smaller than 13 pixels start at 1/3."""

    def __post_init__(self) -> None:
        _share("probability", self.probability)
        _share("sinc", self.sinc)
        _range("sigma", self.sigma, 0.01)
        _range("generalized_beta", self.generalized_beta, 0.01)
        _range("plateau_beta", self.plateau_beta, 0.01)
        _sizes("sizes", self.sizes)
        _range("cutoff", self.cutoff, 0.01, 1)
        if self.sinc < 1 and not sum(self.shapes.weights().values()):
            raise ValueError("shapes needs one above 0")


@dataclass(frozen=True, kw_only=True)
class Resize(Options):
    """A resize by a factor that the batch shares; each picture has its own interpolation."""

    up: float = 0.0
    """Weight of factors from 1 to the upper end of `factors`."""
    down: float = 0.0
    """Weight of factors from the lower end of `factors` to 1."""
    keep: float = 1.0
    """Weight of factor 1."""
    factors: Range = (1.0, 1.0)
    relative_to: Literal["high", "low"] = "high"
    """Factor 1 is the size of the original, or the size of the low-resolution side."""
    modes: tuple[Mode, ...] = ("area", "bilinear", "bicubic")
    """Drawn with equal chances; ``antialiased`` is bicubic that smooths first, the others do not."""

    def __post_init__(self) -> None:
        for name in ("up", "down", "keep"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not self.up + self.down + self.keep:
            raise ValueError("up, down, keep: one must be above 0")
        _range("factors", self.factors, 0.01, 8)
        if not self.factors[0] <= 1 <= self.factors[1]:
            raise ValueError(f"factors must include 1, got [{self.factors[0]:g}, {self.factors[1]:g}]")
        if not self.modes:
            raise ValueError("modes needs at least one")


@dataclass(frozen=True, kw_only=True)
class Noise(Options):
    """Gaussian noise for a share of the pictures, Poisson noise for the others."""

    probability: float = 1.0
    """Of any noise at all."""
    gaussian: float = 0.5
    """Share of Gaussian noise."""
    sigma: Range = (1.0, 30.0)
    """Of Gaussian noise, in levels of 255."""
    strength: Range = (0.05, 3.0)
    """Of Poisson noise: 1 is the noise of as many photons as the picture has levels."""
    grey: float = 0.4
    """Share of pictures whose channels get the same noise."""

    def __post_init__(self) -> None:
        for name in ("probability", "gaussian", "grey"):
            _share(name, getattr(self, name))
        _range("sigma", self.sigma, 0, 255)
        _range("strength", self.strength, 0)


@dataclass(frozen=True, kw_only=True)
class Jpeg(Options):
    """JPEG compression."""

    probability: float = 1.0
    quality: Range = (30.0, 95.0)
    """1 to 100, rounded to whole numbers as every encoder does."""

    def __post_init__(self) -> None:
        _share("probability", self.probability)
        _range("quality", self.quality, 1, 100)


@dataclass(frozen=True, kw_only=True)
class Pass(Options):
    """Blur, resize, noise, JPEG, in that order."""

    blur: Blur = field(default_factory=lambda: Blur(probability=0))
    resize: Resize = field(default_factory=Resize)
    noise: Noise = field(default_factory=lambda: Noise(probability=0))
    jpeg: Jpeg = field(default_factory=lambda: Jpeg(probability=0))


@dataclass(frozen=True, kw_only=True)
class Final(Options):
    """The end: resize to the low-resolution size, then a sinc filter."""

    sinc: float = 0.0
    """Share of pictures with a sinc filter."""
    sizes: tuple[int, int] = (7, 21)
    """Side of its kernel, odd numbers."""
    cutoff: Range = (1 / 3, 1.0)
    """In units of the highest frequency."""
    modes: tuple[Mode, ...] = ("area", "bilinear", "bicubic")
    jpeg_last: float = 0.0
    """Share of pictures for which the JPEG of the last pass comes after this end, and not before it."""

    def __post_init__(self) -> None:
        _share("sinc", self.sinc)
        _share("jpeg_last", self.jpeg_last)
        _sizes("sizes", self.sizes)
        _range("cutoff", self.cutoff, 0.01, 1)
        if not self.modes:
            raise ValueError("modes needs at least one")


@dataclass(frozen=True, kw_only=True)
class Recipe(Options):
    """A degradation: passes one after the other (two make the "second order" of Wang et al. 2021), and the end."""

    passes: tuple[Pass, ...]
    final: Final = field(default_factory=Final)
    margin: int = 8
    """Low-resolution pixels around a training patch that are degraded with it and then cut away, so that borders of the
    filters stay outside and the grid of JPEG blocks lies anywhere."""

    def __post_init__(self) -> None:
        if not self.passes:
            raise ValueError("passes needs at least one; an empty one ({}) does nothing")
        if self.margin < 0:
            raise ValueError(f"margin must be at least 0, got {self.margin}")
