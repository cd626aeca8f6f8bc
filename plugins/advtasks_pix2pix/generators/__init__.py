"""Networks from one picture to another, one architecture a file."""

from advtasks_pix2pix.generators.pix2pixhd import Pix2PixHD
from advtasks_pix2pix.generators.resnet import ResNet
from advtasks_pix2pix.generators.spade import SPADE
from advtasks_pix2pix.generators.unet import UNet

__all__ = ["SPADE", "Pix2PixHD", "ResNet", "UNet"]
