"""Critics. Each is called as ``critic(picture, condition=None)``, and shows its features in ``critic.output(...)``."""

from advtasks.discriminators.autoencoder import AutoencodingDiscriminator, ConvolutionalAutoencoder, MLPAutoencoder
from advtasks.discriminators.discriminator import (
    CriticOutput,
    Discriminator,
    criticize,
    criticize_again,
    judges_alone,
    pooled,
)
from advtasks.discriminators.mlp import MLPDiscriminator
from advtasks.discriminators.patch import PatchDiscriminator
from advtasks.discriminators.projected import ProjectedDiscriminator
from advtasks.discriminators.projection import ProjectionDiscriminator
from advtasks.discriminators.resnet import ResNetDiscriminator
from advtasks.discriminators.unet import UNetDiscriminator
from advtasks.discriminators.vgg_style import VGGStyleDiscriminator
from advtasks.discriminators.wavelet import WaveletDiscriminator

__all__ = [
    "AutoencodingDiscriminator",
    "ConvolutionalAutoencoder",
    "CriticOutput",
    "Discriminator",
    "MLPAutoencoder",
    "MLPDiscriminator",
    "PatchDiscriminator",
    "ProjectedDiscriminator",
    "ProjectionDiscriminator",
    "ResNetDiscriminator",
    "UNetDiscriminator",
    "VGGStyleDiscriminator",
    "WaveletDiscriminator",
    "criticize",
    "criticize_again",
    "judges_alone",
    "pooled",
]
