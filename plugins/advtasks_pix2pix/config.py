"""Configuration of translation. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from advtasks.config import Options, PictureConfig
from advtasks.errors import UsageError

Maker = Literal["none", "edges", "grey", "lowres", "mask", "sketch", "blur"]
SideKind = Literal["auto", "picture", "labels"]


@dataclass(frozen=True, kw_only=True)
class Reading(Options):
    """How a folder is read, in training and by ``advtasks data check``."""

    layout: Literal["auto", "ab", "pictures"] = "auto"
    """auto: recognised. ab: every file holds both sides, A on its left half. pictures: every file is a target, for
    --make-input."""
    input_kind: SideKind = "auto"
    """labels: values are numbers of classes. auto: where the folder's name says so (label, segmentation, ...)."""
    target_kind: SideKind = "auto"
    """The same for targets."""
    classes: int = 0
    """Of label maps, at most 256; 0: one more than the largest number found."""
    ignore_label: int | None = None
    """Number of pixels that are of no class (often 255): they are left out of input, losses and scores."""

    def __post_init__(self) -> None:
        if not 0 <= self.classes <= 256:
            raise UsageError(f"classes are 0 to 256, the numbers of a label map of 8 bits; got {self.classes}")
        if self.ignore_label is not None and not 0 <= self.ignore_label <= 255:
            raise UsageError(f"ignore_label is a number in a label map, 0 to 255, got {self.ignore_label}")


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(Reading, PictureConfig):
    """A translation run."""

    generator: str = "unet"
    """Name of the network, with options: unet:levels=7:width=32, resnet:blocks=6, pix2pixhd, spade:width=16."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which side of the pairs is the input; `advtasks data check` says which is A."""
    make_input: Maker = "none"
    """Make the input from the target, on the device: any folder of pictures is a task. edges, sketch: drawing to
    picture; grey: colourisation; lowres, blur: restoration; mask: inpainting."""
    load: int = 286
    """Shorter side that pictures are resized to before a crop is cut; 0 leaves them."""
    crop: int = 256
    """Side of the training crops; validation pictures have this shorter side where they are resized at all."""
    flip: bool = True
    """Mirror half of the training pairs."""
    keep_alpha: bool = False
    """Opacity is a fourth channel; otherwise transparent pictures are laid on white."""
    noise: int = 0
    """Random numbers beside each input, so that it has several outputs."""
    input_pixels: str = ""
    """What inputs are, as JSON. Found in the data; bundles state it."""
    target_pixels: str = ""
    """What targets are, as JSON."""
    scales: int = 1
    """Sizes at which pairs are judged, each half of the one before and with a critic of its own (pix2pixHD)."""

    def __post_init__(self) -> None:
        Reading.__post_init__(self)
        PictureConfig.__post_init__(self)
        if self.crop < 8:
            raise UsageError(f"crop must be at least 8, got {self.crop}")
        if self.load and self.load < self.crop:
            raise UsageError(f"load ({self.load}) must be at least crop ({self.crop}), or 0 to leave sizes alone")
        if not 1 <= self.scales <= 4:
            raise UsageError(f"scales must be 1 to 4, got {self.scales}")
        if self.noise < 0:
            raise UsageError(f"noise must be at least 0, got {self.noise}")
        if self.make_input != "none" and self.layout == "ab":
            raise UsageError(
                "make_input makes the input from whole pictures, and layout ab says that each file holds both sides: "
                "leave one of them out"
            )
        if self.make_input == "none" and self.layout == "pictures":
            raise UsageError(
                "layout pictures: every file is a target, so its input must be made: give --make-input edges (or grey, "
                "lowres, mask, sketch, blur)"
            )
        if self.make_input != "none" and self.input_kind == "labels":
            raise UsageError("make_input makes pictures, and input_kind says labels: leave one of them out")
