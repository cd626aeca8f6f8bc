"""Tiles for networks with global operations (attention, pooling over the picture): what a tile shows depends on all of
it, so there is no overlap without seams. Neighbours are blended where they overlap."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from advtasks.inference.tiling import Geometry, Network, Region, Source, Watch, attempted, cut

OVERLAP = 32
"""Input pixels that neighbouring tiles share."""


class Blender:
    """Runs a network with global operations over one picture; arguments as :class:`~advtasks.inference.tiling.Tiler`.

    A picture that fits into one tile is computed as a whole.
    """

    def __init__(self, network: Network, source: Source, geometry: Geometry, tile: tuple[int, int]) -> None:
        self.network, self.source, self.geometry = network, source, geometry
        multiple = geometry.multiple_of
        self.height, self.width = (-(-side // multiple) * multiple for side in (source.height, source.width))
        self.smallest = 2 * max(OVERLAP, multiple)
        self.side = tuple(max(side, self.smallest) for side in tile)

    @property
    def tiles(self) -> int:
        """In all, where memory suffices."""
        multiple = self.geometry.multiple_of
        return len(spans(self.height, self.side[0], multiple)) * len(spans(self.width, self.side[1], multiple))

    @property
    def doubt(self) -> str:
        """What a user should know where there are several tiles."""
        return (
            "this network has global operations (norms over the picture, attention): tiles are blended where they "
            "overlap, but may differ in tone. Computed as a whole a picture does not: with a --tile of its longer "
            "side, or more memory (--max-memory)"
        )

    @property
    def work(self) -> int:
        """Input pixels that are computed."""
        multiple = self.geometry.multiple_of
        rows, columns = spans(self.height, self.side[0], multiple), spans(self.width, self.side[1], multiple)
        return sum(end - start for start, end in rows) * sum(end - start for start, end in columns)

    def bands(self, watch: Watch | None = None) -> Iterator[Tensor]:
        """The output from top to bottom: (N, C', rows, W·scale), float32 on the CPU."""
        scale, done = self.geometry.scale, 0
        rows = spans(self.height, self.side[0], self.geometry.multiple_of)
        columns = spans(self.width, self.side[1], self.geometry.multiple_of)
        waiting: Tensor | None = None
        for number, (top, bottom) in enumerate(rows):
            band: Tensor | None = None
            for place, (left, right) in enumerate(columns):
                output = self._computed(Region(top, bottom, left, right))
                if band is None:
                    band = torch.zeros(*output.shape[:3], self.width * scale)
                across = _weights(columns, place, scale)
                band[..., left * scale : right * scale] += output * across
                done += 1
                if watch is not None:
                    watch(done, self.tiles)
            assert band is not None, "a band has at least one tile"
            band *= _weights(rows, number, scale)[:, None]
            if waiting is not None:
                band[..., : waiting.shape[-2], :] += waiting
            following = rows[number + 1][0] if number + 1 < len(rows) else bottom
            finished = (following - top) * scale
            waiting = band[..., finished:, :].clone()
            end = min(finished, (self.source.height - top) * scale)
            if end > 0:
                yield band[..., :end, : self.source.width * scale]

    def _computed(self, region: Region) -> Tensor:
        """The output of a tile; one that does not fit into memory is put together from blended smaller ones."""
        longest = max(region.bottom - region.top, region.right - region.left)
        output = attempted(self.network, cut(self.source, region), last=longest <= self.smallest)
        if output is not None:
            return output.float().cpu()
        side = max(longest // 2, self.smallest)
        self.side = tuple(min(limit, side) for limit in self.side)
        part = Blender(self.network, _Part(self.source, region), self.geometry, (side, side))
        return torch.cat(list(part.bands()), dim=2)


class _Part:
    """A region of a picture as a picture."""

    def __init__(self, source: Source, region: Region) -> None:
        self.source, self.region = source, region
        self.height, self.width = region.bottom - region.top, region.right - region.left

    def cut(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Of the region."""
        return cut(
            self.source,
            Region(self.region.top + top, self.region.top + bottom, self.region.left + left, self.region.left + right),
        )


def spans(length: int, side: int, multiple: int) -> list[tuple[int, int]]:
    """Starts and ends of tiles along one axis, evenly spread, neighbours sharing at least `OVERLAP` pixels.

    Args:
        length: of the axis, a multiple of `multiple`.
        side: wanted of a tile; rounded up.
    """
    side = -(-max(side, OVERLAP + multiple) // multiple) * multiple
    if side >= length:
        return [(0, length)]
    step = (side - OVERLAP) // multiple * multiple
    count = 1 + -(-(length - side) // step)
    starts = [(length - side) * number // (count - 1) // multiple * multiple for number in range(count)]
    return [(start, start + side) for start in starts]


def _weights(tiles: list[tuple[int, int]], number: int, scale: int) -> Tensor:
    """The weight of each output pixel of a tile along one axis: largest in its middle, never 0, and with those of the
    other tiles it adds up to 1."""
    start, end = tiles[number]
    places = torch.arange(start * scale, end * scale) + 0.5
    every = torch.zeros_like(places)
    for first, last in tiles:
        every += (torch.minimum(places - first * scale, last * scale - places)).clamp_min(0)
    return torch.minimum(places - start * scale, end * scale - places) / every
