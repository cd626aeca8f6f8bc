"""Critics. Each is called as ``critic(picture, condition=None)`` and shows ``features(picture, condition=None)``."""

from advtasks.discriminators.patch import PatchDiscriminator
from advtasks.discriminators.unet import UNetDiscriminator
from advtasks.discriminators.vgg_style import VGGStyleDiscriminator

__all__ = ["PatchDiscriminator", "UNetDiscriminator", "VGGStyleDiscriminator"]
