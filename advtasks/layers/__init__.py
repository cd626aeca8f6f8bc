"""Layers of the GAN literature that torch does not have, one idea a file."""

from advtasks.layers.attention import SelfAttention2d
from advtasks.layers.equalized import equalize_learning_rate
from advtasks.layers.haar import haar, inverse_haar, stationary_haar
from advtasks.layers.minibatch import MinibatchDiscrimination, MinibatchStandardDeviation
from advtasks.layers.pixel_norm import PixelNorm
from advtasks.layers.synchronized_batch_norm import SynchronizedBatchNorm, synchronize_batch_norm
from advtasks.layers.virtual_batch_norm import VirtualBatchNorm

__all__ = [
    "MinibatchDiscrimination",
    "MinibatchStandardDeviation",
    "PixelNorm",
    "SelfAttention2d",
    "SynchronizedBatchNorm",
    "VirtualBatchNorm",
    "equalize_learning_rate",
    "haar",
    "inverse_haar",
    "stationary_haar",
    "synchronize_batch_norm",
]
