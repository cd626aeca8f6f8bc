"""What the values of a side are: pictures of any number of channels and depth, or numbers of classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from advtasks.data.listing import few
from advtasks.transfers import constant


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What the values of a side are; JSON by :func:`dataclasses.asdict`."""

    kind: Literal["picture", "labels"] = "picture"
    channels: int = 3
    depth: Literal[8, 16, 32] = 8
    """Bits a value; 32 are floating-point values."""
    low: float = 0.0
    """The value that the network sees as 0, of floating-point pictures."""
    high: float = 1.0
    classes: int = 0
    names: tuple[str, ...] = ()
    """Of the classes, as far as known."""
    colors: tuple[tuple[int, int, int], ...] = ()
    """To show the classes in."""
    ignored: int | None = None
    """Number of pixels that are of no class: they are in no channel, and in no loss and score of targets."""
    unused: tuple[int, ...] = ()
    """Classes that no label map of the training data had."""
    paged: bool = False
    """Each channel is a page of a TIFF."""
    bands: bool = False
    """The fourth of four channels is a measurement like the others, and no opacity."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Pixels:
        """From JSON."""
        known = dict(values)
        known["names"] = tuple(known.get("names", ()))
        known["unused"] = tuple(known.get("unused", ()))
        known["colors"] = tuple(tuple(color) for color in known.get("colors", ()))
        return cls(**known)

    @property
    def planes(self) -> int:
        """Channels of a network."""
        return self.classes if self.kind == "labels" else self.channels

    @property
    def described(self) -> str:
        """For the user: ``label maps of 12 classes``, ``pictures of 3 channels, 8 bit``."""
        if self.kind == "labels":
            named = f" ({', '.join(self.names)})" if self.names else ""
            empty = f", {len(self.unused)} of them without a pixel: {few(self.unused)}" if self.unused else ""
            left_out = f"; {self.ignored} is no class" if self.ignored is not None else ""
            return f"label maps of {self.classes} classes{named}{empty}{left_out}"
        depth = "floating point" if self.depth == 32 else f"{self.depth} bit"
        return f"pictures of {self.channels} channel{'s' if self.channels > 1 else ''}, {depth}"

    @property
    def void(self) -> int:
        """The number of no class; -1, which no pixel has, where there is none."""
        return -1 if self.ignored is None else self.ignored

    @property
    def measured(self) -> bool:
        """Whether these are more than pictures of grey or RGB, perhaps with opacity, of 8 or 16 bit."""
        return self.kind == "picture" and (
            self.depth == 32 or self.paged or self.bands or self.channels not in (1, 3, 4)
        )

    def shown(self, pictures: Tensor) -> Tensor:
        """(N, planes, H, W) as RGB (N, 3, H, W), for previews and for networks that know pictures; classes mix their
        colours by their shares."""
        if self.kind == "labels":
            colors = constant(tuple(self.palette()), pictures) / 255
            shares = pictures / pictures.sum(1, keepdim=True).clamp_min(1e-6)
            with torch.autocast(pictures.device.type, enabled=False):
                return torch.einsum("nkyx,kc->ncyx", shares, colors)
        if self.channels == 3:
            return pictures
        if self.channels == 4 and not self.bands:  # laid on white
            return pictures[:, :3] * pictures[:, 3:] + 1 - pictures[:, 3:]
        return pictures[:, :3] if self.channels >= 4 else pictures[:, :1].expand(-1, 3, -1, -1)

    def palette(self) -> list[tuple[int, int, int]]:
        """A colour for each class; those that are not known are spread over the hues."""
        made = list(self.colors[: self.classes])
        for number in range(len(made), self.classes):
            red, green, blue = (0.5 + 0.5 * math.cos(number * 2.4 + turn * 2 * math.pi / 3) for turn in range(3))
            strength = 255 if number % 2 else 180
            made.append((round(red * strength), round(green * strength), round(blue * strength)))
        return made


def to_network(values: Tensor, pixels: Pixels) -> Tensor:
    """Stored values (N, H, W, C), or class numbers (N, H, W), to (N, planes, H, W) float32 in [0, 1]; classes become
    one channel each, here on the device; pixels of no class are 0 in all of them."""
    if pixels.kind == "labels":
        numbers = values.long()
        if pixels.ignored is None:
            return one_hot(numbers, pixels.classes).permute(0, 3, 1, 2).float()
        known = numbers != pixels.ignored
        return (one_hot(numbers * known, pixels.classes) * known[..., None]).permute(0, 3, 1, 2).float()
    planes = values.permute(0, 3, 1, 2).float()
    if pixels.depth == 32:
        return (planes - pixels.low) / (pixels.high - pixels.low)
    return planes / (2**pixels.depth - 1)
