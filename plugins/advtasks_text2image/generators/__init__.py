"""Networks from noise and an embedding to a picture."""

from advtasks_text2image.generators.augmentation import ConditioningAugmentation, standard_normal_divergence
from advtasks_text2image.generators.dcgan import DCGAN
from advtasks_text2image.generators.deep_fusion import DeepFusion
from advtasks_text2image.generators.text_generator import TextGenerator, noise_of
from advtasks_text2image.generators.word_attention import WordAttention

__all__ = [
    "DCGAN",
    "ConditioningAugmentation",
    "DeepFusion",
    "TextGenerator",
    "WordAttention",
    "noise_of",
    "standard_normal_divergence",
]
