"""Tiles without seams: for a convolutional network, tiled equals untiled by construction.

An output pixel depends on input pixels within the receptive radius. Each tile is given that much context, cut off only
where the picture ends, so the network sees there what it sees of the whole picture: its own padding. The output comes
in bands from top to bottom, so that memory does not grow with the height of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from advtasks.causes import is_out_of_memory

Network = Callable[[Tensor], Tensor]
Watch = Callable[[int, int], None]
"""Called with tiles done and tiles in all."""
_PROBE = 96
_PLACES = 5
"""Along each axis, where the most telling part of a picture is looked for."""


@dataclass(frozen=True)
class Geometry:
    """How a network's output lies over its input."""

    scale: int
    radius: int | None
    """Receptive radius in input pixels; None for global operations."""
    multiple_of: int = 1
    """Input sides that the network wants; the picture is extended by reflection and cropped after."""

    @property
    def context(self) -> int:
        """Pixels that a tile is given to each side."""
        return -(-(self.radius or 0) // self.multiple_of) * self.multiple_of


class Source(Protocol):
    """Where the pixels of a picture come from."""

    height: int
    width: int

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(N, C, bottom - top, right - left), all within the picture."""


class Whole:
    """A picture that is there as a tensor.

    Args:
        pixels: (N, C, H, W).
    """

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[-2:]

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """A view."""
        return self.pixels[..., top:bottom, left:right]


@dataclass(frozen=True)
class Region:
    """A rectangle of input pixels: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

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

    def within(self, context: int, height: int, width: int) -> Region:
        """The same with context, cut off where the picture ends."""
        return Region(
            max(self.top - context, 0),
            min(self.bottom + context, height),
            max(self.left - context, 0),
            min(self.right + context, width),
        )


class Tiler:
    """Runs a network over one picture.

    Args:
        network: (N, C, h, w) to (N, C', h·scale, w·scale).
        source: the picture.
        geometry: of the network; its radius must not be None (see :mod:`advtasks.inference.blending`).
        tile: height and width of a tile in input pixels, context not counted; rounded up to `multiple_of`.
    """

    def __init__(self, network: Network, source: Source, geometry: Geometry, tile: tuple[int, int]) -> None:
        self.network, self.source, self.geometry = network, source, geometry
        multiple = geometry.multiple_of
        self.height, self.width = (-(-side // multiple) * multiple for side in (source.height, source.width))
        self.rows, self.columns = (-(-max(side, 1) // multiple) * multiple for side in tile)
        self.most: int | None = None
        """Pixels with context that fit into memory, once more did not."""

    @property
    def tiles(self) -> int:
        """In all, where memory suffices."""
        return -(-self.height // self.rows) * -(-self.width // self.columns)

    @property
    def work(self) -> int:
        """Input pixels that are computed, context included."""
        context = self.geometry.context

        def seen(length: int, side: int) -> int:
            starts = range(0, length, side)
            return sum(min(start + side + context, length) - max(start - context, 0) for start in starts)

        return seen(self.height, self.rows) * seen(self.width, self.columns)

    def bands(self, watch: Watch | None = None) -> Iterator[Tensor]:
        """The output from top to bottom: (N, C', rows, W·scale), float32 on the CPU."""
        scale, done = self.geometry.scale, 0
        for top in range(0, self.height, self.rows):
            bottom = min(top + self.rows, self.height)
            band: Tensor | None = None
            for left in range(0, self.width, self.columns):
                region = Region(top, bottom, left, min(left + self.columns, self.width))
                for part, output in self._computed(region):
                    if band is None:
                        shape = (*output.shape[:2], (bottom - top) * scale, self.width * scale)
                        band = torch.empty(shape, dtype=torch.float32)
                    rows = slice((part.top - top) * scale, (part.bottom - top) * scale)
                    band[..., rows, part.left * scale : part.right * scale] = output
                done += 1
                if watch is not None:
                    watch(done, self.tiles)
            assert band is not None, "a band has at least one tile"
            rows_left = (min(bottom, self.source.height) - top) * scale
            if rows_left > 0:
                yield band[..., :rows_left, : self.source.width * scale]

    def _computed(self, region: Region) -> Iterator[tuple[Region, Tensor]]:
        """The output of a region, or of its halves where it does not fit into memory."""
        geometry = self.geometry
        seen = region.within(geometry.context, self.height, self.width)
        halves = region.halves(geometry.multiple_of)
        if halves is None or self.most is None or seen.area <= self.most:
            output = attempted(self.network, cut(self.source, seen), last=halves is None)
            if output is not None:
                rows = slice((region.top - seen.top) * geometry.scale, (region.bottom - seen.top) * geometry.scale)
                columns = slice((region.left - seen.left) * geometry.scale, (region.right - seen.left) * geometry.scale)
                yield region, output[..., rows, columns].float().cpu()
                return
            assert halves is not None, "an error for the last"
            self.most = max(half.within(geometry.context, self.height, self.width).area for half in halves)
        for half in halves:
            yield from self._computed(half)


def cut(source: Source, region: Region) -> Tensor:
    """The pixels of a region, which may reach beyond the lower and right end: there the picture is reflected."""
    down, right = max(region.bottom - source.height, 0), max(region.right - source.width, 0)
    if not down and not right:
        return source.cut(region.top, region.bottom, region.left, region.right)
    top = max(min(region.top, source.height - 1 - down), 0)
    left = max(min(region.left, source.width - 1 - right), 0)
    inside = source.cut(top, min(region.bottom, source.height), left, min(region.right, source.width))
    mode = "reflect" if down < inside.shape[-2] and right < inside.shape[-1] else "replicate"
    return pad(inside, (0, right, 0, down), mode=mode)[..., region.top - top :, region.left - left :]


def telling(source: Source, multiple: int) -> Tensor:
    """The part of a picture, of some, where most happens: what half precision does to it is what it does at all."""
    height, width = (-(-min(side, _PROBE) // multiple) * multiple for side in (source.height, source.width))
    rows, columns = max(source.height - height, 0), max(source.width - width, 0)
    places = {(rows * i // (_PLACES - 1), columns * j // (_PLACES - 1)) for i in range(_PLACES) for j in range(_PLACES)}
    parts = (cut(source, Region(top, top + height, left, left + width)).clamp(0, 1) for top, left in sorted(places))
    return max(parts, key=lambda part: part.std().item())


def attempted(network: Network, tile: Tensor, last: bool) -> Tensor | None:
    """The output of a tile, or None where it does not fit into memory; the `last` one must."""
    try:
        return network(tile)
    except (MemoryError, RuntimeError) as error:
        if last or not is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def tile_shape(height: int, width: int, context: int, most: int, most_rows: int | None = None) -> tuple[int, int]:
    """Height and width of the tiles that need the least work, context included, of those with at most `most` pixels.

    Few columns are good: a tile as wide as the picture has context above and below only.

    Args:
        most: pixels of a tile, context included.
        most_rows: rows of a tile, context not counted.
    """
    best, least = (1, 1), float("inf")
    for columns in range(1, 65):
        tile_width = -(-width // columns)
        seen_width = min(tile_width + 2 * context, width)
        rows = most // seen_width if most // seen_width >= height else most // seen_width - 2 * context
        if rows < 1:
            continue
        bands = -(-height // min(rows, height, most_rows or height))
        tile_height = -(-height // bands)
        work = bands * columns * min(tile_height + 2 * context, height) * seen_width
        if work < least:
            best, least = (tile_height, tile_width), work
    if least == float("inf"):  # context alone is more than that: the smallest tile that is not all context
        return min(max(context, 1), most_rows or height), max(context, 1)
    return best


DEFAULT_AREA = 640 * 640
"""Input pixels of a tile, context included, where memory does not say less."""


def run_tiled(
    network: Network,
    picture: Tensor,
    *,
    scale: int,
    radius: int | None,
    multiple_of: int = 1,
    tile: int | None = None,
    watch: Watch | None = None,
) -> Tensor:
    """The network's output for a picture (N, C, H, W) of any size, tile by tile.

    Args:
        network: (N, C, h, w) to (N, C', h·scale, w·scale).
        radius: receptive radius in input pixels; None for global operations: the picture is not cut.
        multiple_of: see :class:`Geometry`.
        tile: side in input pixels; by default as large as `DEFAULT_AREA` allows.
        watch: called with tiles done and tiles in all.

    Returns:
        (N, C', H·scale, W·scale), on the CPU, float32.

    A tile that does not fit into memory is halved, and halved again, wherever it happens.
    """
    geometry, source = Geometry(scale, radius, multiple_of), Whole(picture)
    height, width = source.height, source.width
    if radius is None:
        shape = (height, width)
    elif tile is None:
        shape = tile_shape(height, width, geometry.context, DEFAULT_AREA)
    else:
        shape = (tile, tile)
    return torch.cat(list(Tiler(network, source, geometry, shape).bands(watch)), dim=2)
