"""The options that all commands for pictures share (``upscale``, ``translate``). Imports no torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from advtasks.errors import UsageError

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What to do with pictures, and how."""

    pictures: tyro.conf.Positional[tuple[str, ...]]
    """Files, folders (with their sub-folders), patterns, videos; - reads a list of files from standard input."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for the results; sub-folders are kept."""
    model: Annotated[Path, tyro.conf.arg(aliases=["-m"])]
    """Run folder, bundle.safetensors, community model (.pth, .safetensors) or .onnx file."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace results that exist; otherwise those pictures are skipped, so running again goes on."""
    format: str | None = None
    """png, jpg, webp, tiff or avif for all results; by default each input's own where it can hold the picture."""
    quality: int | None = None
    """Of JPEG, WebP and AVIF, 1 to 100; by default 95, 95 and 90."""
    strip_metadata: tyro.conf.FlagCreatePairsOff[bool] = False
    """Leave EXIF, XMP and density away; the colour profile stays, since colours would be wrong without it."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the device computes with it and the difference to fp32 cannot be seen."""
    tile: int | None = None
    """Side of tiles in input pixels; by default from the memory at hand."""
    max_memory: str | None = None
    """Memory of the whole process: 2GiB, 800M. By default half of what is free is used for tiles."""
    jobs: int = 2
    """Pictures that are read ahead, and pictures that are written, beside the one in the network."""
    max_megapixels: float = 400.0
    """Inputs with more pixels are refused: a small file can promise a picture that fills the memory."""
    ensemble: tyro.conf.FlagCreatePairsOff[bool] = False
    """Average over eight turned and mirrored versions: a little better, eight times as slow."""
    compile: tyro.conf.FlagCreatePairsOff[bool] = False
    """For long batches: compile the network once tiles of one shape have taken half a minute, where that is measured to
    be faster."""
    report: Path | None = None
    """Write what became of each file into this JSON file."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say what would be done, in which size, tiles and time, and stop."""

    def check(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UsageError: the first of them.
        """
        if not self.pictures:
            raise UsageError("no pictures given: PICTURE... -o OUT --model MODEL")
        for name in ("tile", "jobs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be at least 1, got {value}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality is from 1 to 100, got {self.quality}")
        if not 0 < self.max_megapixels < math.inf:
            raise UsageError(f"--max-megapixels must be above 0 and finite, got {self.max_megapixels:g}")
        self.memory_limit()

    def memory_limit(self) -> int | None:
        """``--max-memory`` in bytes.

        Raises:
            UsageError: not a size.
        """
        if self.max_memory is None:
            return None
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", self.max_memory.lower())
        if not found or float(found[1]) == 0:
            raise UsageError(f"--max-memory is a size such as 2GiB or 800M, got {self.max_memory!r}")
        return int(float(found[1]) * _UNITS[found[2]])
