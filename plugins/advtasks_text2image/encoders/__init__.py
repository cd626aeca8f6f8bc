"""Text encoders, frozen: from captions to embeddings."""

from advtasks_text2image.encoders.characters import CharacterEncoder
from advtasks_text2image.encoders.hashing import HashEncoder
from advtasks_text2image.encoders.pretrained import MiniLM, TransformersEncoder
from advtasks_text2image.encoders.static import WordLlama
from advtasks_text2image.encoders.text_encoder import Encoded, TextEncoder

__all__ = ["CharacterEncoder", "Encoded", "HashEncoder", "MiniLM", "TextEncoder", "TransformersEncoder", "WordLlama"]
