"""Which tiles are worth their memory."""

from __future__ import annotations

from collections.abc import Callable

from advtasks.inference.tiling import Geometry, Network, Source, Tiler, tile_shape

AREAS = (384 * 384, 544 * 544, 768 * 768, 1024 * 1024)
"""Input pixels of a tile, context included, that are tried; no more, since progress is shown between tiles."""
_WORTH = 1.15
"""More memory is taken only for tiles that save more work than this."""
_SLOW = 2.0
"""Times the work that much memory would need of which the user is told."""
_LITTLE = "little memory is free, so large pictures are cut into small tiles and take more than twice as long: "
_WAYS = "give more of the machine's (--max-memory), or work on fewer at a time (--jobs 1)"
_OF_A_GPU = ", or end what else uses the GPU"


def frugal(
    network: Network, source: Source, geometry: Geometry, most: int, rows: int, say: Callable[[str], None], where: str
) -> Tiler:
    """Tiles that take little memory, of those that need little more work than the largest would.

    Args:
        most: input pixels of a tile, context included, for which there is memory.
        rows: of a tile, context not counted, for whose output there is memory.
        say: told when memory makes it slow.
        where: the network is, for what is said: ``cpu`` or another type of device.
    """

    def tiler(area: int, rows: int | None = None) -> Tiler:
        shape = tile_shape(source.height, source.width, geometry.context, area, rows)
        return Tiler(network, source, geometry, shape)

    possible = [tiler(min(area, most), rows) for area in AREAS]
    chosen = next(one for one in possible if one.work <= _WORTH * possible[-1].work)
    if chosen.work > _SLOW * tiler(AREAS[-1]).work:
        say(_LITTLE + _WAYS + _OF_A_GPU * (where != "cpu"))
    return chosen
