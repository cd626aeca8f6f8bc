"""Tiles without seams: for a convolutional network, tiled equals untiled by construction.

An output pixel depends on input pixels within the receptive radius. Each tile is given that much context, cut off only
where the picture ends, so the network sees there what it sees of the whole picture: its own padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class Region:
    """A rectangle of input pixels: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def halves(self, multiple: int) -> tuple[Region, Region] | None:
        """Both halves along the longer side, cut at a multiple; None where it is too small to halve."""
        height, width = self.bottom - self.top, self.right - self.left
        if height >= width:
            cut = self.top + (height // 2 // multiple) * multiple
            if cut == self.top:
                return None
            return Region(self.top, cut, self.left, self.right), Region(cut, self.bottom, self.left, self.right)
        cut = self.left + (width // 2 // multiple) * multiple
        if cut == self.left:
            return None
        return Region(self.top, self.bottom, self.left, cut), Region(self.top, self.bottom, cut, self.right)


def regions(height: int, width: int, tile: int) -> Iterator[Region]:
    """The picture in rows of tiles of at most `tile` pixels a side, of nearly equal size."""
    for top, bottom in _spans(height, tile):
        for left, right in _spans(width, tile):
            yield Region(top, bottom, left, right)


def _spans(length: int, tile: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, tile):
        yield start, min(start + tile, length)


def default_tile(radius: int) -> int:
    """A side that keeps the share of context small without needing much memory."""
    return max(192, 6 * radius)


def run_tiled(
    network: Callable[[Tensor], Tensor],
    picture: Tensor,
    *,
    scale: int,
    radius: int | None,
    multiple_of: int = 1,
    tile: int | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The network's output for a picture of any size, tile by tile.

    Args:
        network: (N, C, h, w) to (N, C', h·scale, w·scale).
        picture: (N, C, H, W).
        radius: receptive radius in input pixels; None for global operations: the picture is not cut.
        multiple_of: input sides that the network wants; the picture is extended by reflection and cropped after.
        tile: side in input pixels, rounded up to `multiple_of`; by default from the radius.
        watch: called with tiles done and tiles in all.

    Returns:
        (N, C', H·scale, W·scale), on the CPU, float32.

    A tile that does not fit into memory is halved, and halved again, wherever it happens.
    """
    height, width = picture.shape[-2:]
    extended = _extended(picture, multiple_of)
    if radius is None:
        whole: Tensor = network(extended)
        return whole[..., : height * scale, : width * scale].float().cpu()
    side = tile or default_tile(radius)
    side = -(-side // multiple_of) * multiple_of
    context = -(-radius // multiple_of) * multiple_of
    plan = list(regions(extended.shape[-2], extended.shape[-1], side))
    result: Tensor | None = None
    for done, region in enumerate(plan, 1):
        for part, output in _computed(network, extended, region, context, scale, multiple_of):
            if result is None:
                size = (*output.shape[:2], extended.shape[-2] * scale, extended.shape[-1] * scale)
                result = torch.empty(size, dtype=torch.float32)
            result[..., part.top * scale : part.bottom * scale, part.left * scale : part.right * scale] = output
        if watch is not None:
            watch(done, len(plan))
    assert result is not None, "a picture has at least one tile"
    return result[..., : height * scale, : width * scale]


def _extended(picture: Tensor, multiple: int) -> Tensor:
    height, width = picture.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return picture
    mode = "reflect" if down < height and right < width else "replicate"
    return pad(picture, (0, right, 0, down), mode=mode)


def _computed(
    network: Callable[[Tensor], Tensor],
    picture: Tensor,
    region: Region,
    context: int,
    scale: int,
    multiple: int,
) -> Iterator[tuple[Region, Tensor]]:
    """The output of a region, or of its halves where it does not fit into memory."""
    top, left = max(region.top - context, 0), max(region.left - context, 0)
    bottom = min(region.bottom + context, picture.shape[-2])
    right = min(region.right + context, picture.shape[-1])
    try:
        output = network(picture[..., top:bottom, left:right])
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        halves = region.halves(multiple)
        if halves is None or not _out_of_memory(error):
            raise
    else:
        rows = slice((region.top - top) * scale, (region.bottom - top) * scale)
        columns = slice((region.left - left) * scale, (region.right - left) * scale)
        yield region, output[..., rows, columns].float().cpu()
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    for half in halves:
        yield from _computed(network, picture, half, context, scale, multiple)


def _out_of_memory(error: Exception) -> bool:
    """On a CPU torch raises a plain RuntimeError, worded by the system."""
    known = ("not enough memory", "can't allocate memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(text in str(error) for text in known)
