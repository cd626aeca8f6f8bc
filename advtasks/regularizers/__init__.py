"""Regularizers: terms for the critic's or the generator's phase, or constraints on the critic, one family a file."""

from advtasks.regularizers.auxiliary_classifier import (
    AuxiliaryClassifier,
    DiscriminativeClassifier,
    Information,
    TwinAuxiliaryClassifier,
)
from advtasks.regularizers.consistency import (
    BalancedConsistencyRegularization,
    ConsistencyRegularization,
    LatentConsistencyRegularization,
    consistency,
    flip_and_shift,
)
from advtasks.regularizers.contrastive import Contrastive, contrastive_loss
from advtasks.regularizers.feature_matching import FeatureMatching, feature_matching
from advtasks.regularizers.input_gradient import input_gradient, input_gradients
from advtasks.regularizers.interpolation import ConditionInterpolation
from advtasks.regularizers.lecam import LeCam, lecam
from advtasks.regularizers.lipschitz import (
    Dragan,
    LipschitzPenalty,
    MaxGradientPenalty,
    WassersteinGradientPenalty,
    dragan_penalty,
    lipschitz_penalty,
    max_gradient_penalty,
    wasserstein_gradient_penalty,
)
from advtasks.regularizers.matching import (
    MatchingAware,
    MatchingAwarePenalty,
    matching_aware_penalty,
    mismatched_partners,
    surely_wrong,
)
from advtasks.regularizers.path_length import PathLength, path_lengths
from advtasks.regularizers.pieces import critic_term
from advtasks.regularizers.pulling_away import PullingAway, pulling_away
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.regularizers.spectral import SpectralNorm, SpectralPenalty, apply_spectral_norm, spectral_penalty
from advtasks.regularizers.top_k import TopK, top_k
from advtasks.regularizers.unrolled import Unrolled, unrolled_parameters
from advtasks.regularizers.virtual_batch_norm import VirtualBatchNorm
from advtasks.regularizers.weights import (
    EqualizedLearningRate,
    HistoricalAveraging,
    Orthogonal,
    WeightClipping,
    clip_weights,
    historical_average_penalty,
    orthogonal_penalty,
)
from advtasks.regularizers.zero_centred import (
    R1,
    R2,
    R1FirstOrder,
    ZeroCentredPenalty,
    r1_first_order,
    r1_penalty,
    r2_penalty,
    zero_centred_penalty,
)

__all__ = [
    "R1",
    "R2",
    "AuxiliaryClassifier",
    "BalancedConsistencyRegularization",
    "ConditionInterpolation",
    "ConsistencyRegularization",
    "Contrastive",
    "DiscriminativeClassifier",
    "Dragan",
    "EqualizedLearningRate",
    "FeatureMatching",
    "HistoricalAveraging",
    "Information",
    "LatentConsistencyRegularization",
    "LeCam",
    "LipschitzPenalty",
    "MatchingAware",
    "MatchingAwarePenalty",
    "MaxGradientPenalty",
    "Orthogonal",
    "PathLength",
    "PullingAway",
    "R1FirstOrder",
    "Regularizer",
    "Scored",
    "SpectralNorm",
    "SpectralPenalty",
    "TopK",
    "TwinAuxiliaryClassifier",
    "Unrolled",
    "VirtualBatchNorm",
    "WassersteinGradientPenalty",
    "WeightClipping",
    "ZeroCentredPenalty",
    "apply_spectral_norm",
    "clip_weights",
    "consistency",
    "contrastive_loss",
    "critic_term",
    "dragan_penalty",
    "feature_matching",
    "flip_and_shift",
    "historical_average_penalty",
    "input_gradient",
    "input_gradients",
    "lecam",
    "lipschitz_penalty",
    "matching_aware_penalty",
    "max_gradient_penalty",
    "mismatched_partners",
    "orthogonal_penalty",
    "path_lengths",
    "pulling_away",
    "r1_first_order",
    "r1_penalty",
    "r2_penalty",
    "spectral_penalty",
    "surely_wrong",
    "top_k",
    "unrolled_parameters",
    "wasserstein_gradient_penalty",
    "zero_centred_penalty",
]
