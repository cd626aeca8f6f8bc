"""Frozen feature networks, for perceptual losses and metrics."""

from advtasks.features.feature_network import Embedding, FeatureNetwork

__all__ = ["Embedding", "FeatureNetwork"]
