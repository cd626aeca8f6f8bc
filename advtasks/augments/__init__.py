"""What real and fake samples pass before a critic sees them, one idea a file."""

from advtasks.augments.ada import AdaptiveAugment
from advtasks.augments.apa import AdaptivePseudoAugment
from advtasks.augments.augment import Augment
from advtasks.augments.controller import OverfittingController
from advtasks.augments.diffaugment import DiffAugment
from advtasks.augments.instance_noise import InstanceNoise
from advtasks.augments.packing import pack

__all__ = [
    "AdaptiveAugment",
    "AdaptivePseudoAugment",
    "Augment",
    "DiffAugment",
    "InstanceNoise",
    "OverfittingController",
    "pack",
]
