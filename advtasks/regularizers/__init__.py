"""Regularizers: terms for one phase, or constraints on the critic's weights."""

from advtasks.regularizers.feature_matching import FeatureMatching
from advtasks.regularizers.gradient_penalty import (
    R1,
    R2,
    WassersteinGradientPenalty,
    input_gradient,
    r1_penalty,
    r2_penalty,
    wasserstein_gradient_penalty,
)
from advtasks.regularizers.regularizer import Regularizer
from advtasks.regularizers.spectral import SpectralNorm

__all__ = [
    "R1",
    "R2",
    "FeatureMatching",
    "Regularizer",
    "SpectralNorm",
    "WassersteinGradientPenalty",
    "input_gradient",
    "r1_penalty",
    "r2_penalty",
    "wasserstein_gradient_penalty",
]
