"""Networks from noise and an embedding to a picture."""

from advtasks_text2image.generators.augmentation import ConditioningAugmentation, standard_normal_divergence
from advtasks_text2image.generators.dcgan import DCGAN
from advtasks_text2image.generators.deep_fusion import DeepFusion
from advtasks_text2image.generators.text_generator import TextGenerator

__all__ = ["DCGAN", "ConditioningAugmentation", "DeepFusion", "TextGenerator", "standard_normal_divergence"]
