"""The size that is wanted of an output. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from advtasks.errors import AdvtasksError, UsageError

MOST = 64
"""Times the size of a picture."""
_SIZE = re.compile(r"(\d*)x(\d*)")


@dataclass(frozen=True)
class OutputSize:
    """The network's own size, another factor, or a size in pixels.

    Args:
        own: the network's factor.
        factor: of the input's sides, instead of the network's.
        width, height: in pixels; one of the two alone keeps the proportions, both together fit the picture into them.
        name: what results are called, where that is not the size.
    """

    own: int
    factor: float | None = None
    width: int | None = None
    height: int | None = None
    name: str = ""

    @classmethod
    def parse(cls, own: int, scale: float | None, size: str | None) -> OutputSize:
        """From ``--scale 3.2`` and ``--size 3840x``, ``x2160`` or ``3840x2160``.

        Raises:
            UsageError: both, or one that makes no sense.
        """
        if scale is not None and size is not None:
            raise UsageError("--scale and --size exclude each other")
        if scale is not None:
            if not 0 < scale <= MOST:
                raise UsageError(f"--scale must be above 0 and at most {MOST}, got {scale:g}")
            return cls(own, factor=scale)
        if size is None:
            return cls(own)
        found = _SIZE.fullmatch(size)
        width, height = (int(part) if part else None for part in found.groups()) if found else (None, None)
        if not width and not height:
            raise UsageError(f"--size is WIDTHx, xHEIGHT or WIDTHxHEIGHT in pixels, got {size!r}")
        if width == 0 or height == 0:
            raise UsageError(f"--size must be above 0, got {size!r}")
        return cls(own, width=width, height=height)

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the output of a picture.

        Raises:
            AdvtasksError: more than `MOST` times the picture's.
        """
        factor = float(self.own)
        if self.factor is not None:
            factor = self.factor
        elif self.width or self.height:
            wanted = [side / given for side, given in ((self.width, width), (self.height, height)) if side]
            factor = min(wanted)
            if factor > MOST:
                raise AdvtasksError(
                    f"--size {self.label} is {factor:,.0f} times the size of this picture, {width}x{height}; at most "
                    f"{MOST} times"
                )
        return max(round(width * factor), 1), max(round(height * factor), 1)

    @property
    def label(self) -> str:
        """What results are called: ``x4``, ``x3.2``, ``3840x``."""
        if self.name:
            return self.name
        if self.width or self.height:
            return f"{self.width or ''}x{self.height or ''}"
        return f"x{self.own if self.factor is None else self.factor:g}"
