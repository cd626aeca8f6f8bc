"""Configuration of text-conditioned synthesis. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from advtasks.config import Options, RunConfig
from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Reading(Options):
    """How a folder is read, in training and by ``advtasks data check``, which counts the captions that the encoder
    would cut."""

    captions: Literal["auto", "names"] = "auto"
    """auto: what lies beside the pictures (tables, text files, COCO); names: red_apple.png is a red apple."""
    encoder: str = "wordllama"
    """Frozen text encoder, with options: wordllama, hash:width=256, minilm, transformers:model=FOLDER;
    characters learns from the captions and pictures first."""


@dataclass(frozen=True, kw_only=True)
class TextConfig(Reading, RunConfig):
    """A run from captions to pictures."""

    generator: str = "df"
    """Name of the network, with options: df:width=16, dcgan."""
    size: int = 64
    """Side of the pictures: a power of two from 16. Training pictures are scaled to it and cropped in the middle."""
    flip: bool = False
    """Mirror half of the training pictures; not where captions say left and right."""
    latent: int = 100
    """Dimension of the noise."""
    caption_dropout: float = 0.0
    """Share of the training captions that are replaced by none, so that `generate --guidance` has something to lead
    away from."""
    metric_network: str = "efficientnet-lite2"
    """Frozen network that pictures are measured with; not one that is trained against."""
    metric_pictures: int = 200
    """At most so many pictures are generated for a validation, of as many held-out captions."""
    words: int = 16
    """At most so many tokens of a caption are shown to generators that attend to them (df:attention=16)."""
    encoder_hash: str = ""
    """Of the encoder's weights. Found; bundles state it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 16 or self.size & (self.size - 1):
            raise UsageError(f"size must be a power of two from 16, got {self.size}")
        if self.latent < 1:
            raise UsageError(f"latent must be at least 1, got {self.latent}")
        if self.words < 1:
            raise UsageError(f"words must be at least 1, got {self.words}")
        if not 0 <= self.caption_dropout < 1:
            raise UsageError(f"caption_dropout must lie from 0 to below 1, got {self.caption_dropout}")
        if self.metric_pictures < 16:
            raise UsageError(f"metric_pictures must be at least 16, got {self.metric_pictures}")
        if self.adversary.kind == "none":
            raise UsageError(
                "adversary.kind none: this task has no objective of its own, only the critic says what a picture of "
                "a text is; leave the adversary in"
            )
