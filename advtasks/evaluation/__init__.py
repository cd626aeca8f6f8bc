"""Measuring: metrics with their exact protocols, and one runner for training and for ``advtasks evaluate``."""
