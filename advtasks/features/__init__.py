"""Frozen feature networks, for perceptual losses and metrics."""

from advtasks.features.feature_network import FeatureNetwork

__all__ = ["FeatureNetwork"]
