"""The receptive radius of a network, measured."""

from __future__ import annotations

import contextlib
import copy
import itertools

import torch
from torch import Tensor, nn

TOLERANCE = 2e-6
"""Change of the output (values in [0, 1]) that pixels beyond the radius may cause."""
_CANDIDATES = (8, 12, 16, 24, 32, 48, 64, 96, 128)
_SHIFTS = (0, 1, 3)
"""Rows more: what depends on where a tile begins (windows of an attention) has no radius."""
_WIDTH = 40


@torch.inference_mode()
def effective_radius(network: nn.Module, scale: int, channels: int = 3, multiple_of: int = 1) -> int | None:
    """Input pixels to each side beyond which a network's output does not change by more than `TOLERANCE`; None if
    there is no such number up to 96, as with global operations, or if it depends on where the picture is cut off.

    The theoretical radius of deep networks is several times this (349 pixels for the 23 blocks of RRDB): weights of
    far pixels are products of hundreds of small numbers. It is measured on a column of noise, cut off at growing
    distances from its middle; the next larger candidate is taken as a margin.
    """
    draws = torch.Generator().manual_seed(0)
    multiple = max(multiple_of, 1)
    far = -(-_CANDIDATES[-1] * 2 // multiple) * multiple
    width = -(-_WIDTH // multiple) * multiple
    column = torch.rand(1, channels, 2 * far + multiple, width, generator=draws)
    column = column.to(next(network.parameters(), column).device)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # rounded to TF32, far pixels would seem to matter
        if column.is_cuda:  # so they would by its kernels, which change with the size
            with contextlib.suppress(RuntimeError):  # a network that wants float32
                return _measured(copy.deepcopy(network).double(), column.double(), far, multiple, scale)
        return _measured(network, column, far, multiple, scale)


def _measured(network: nn.Module, column: Tensor, far: int, multiple: int, scale: int) -> int | None:
    whole = _middle(network, column, far, multiple, scale)
    for candidate, margin in itertools.pairwise(_CANDIDATES):
        reach = -(-candidate // multiple) * multiple
        if all(_same(network, column, far, reach + shift * multiple, multiple, scale, whole) for shift in _SHIFTS):
            return -(-margin // multiple) * multiple
    return None


def _same(network: nn.Module, column: Tensor, far: int, reach: int, multiple: int, scale: int, whole: Tensor) -> bool:
    """Whether the rows in the middle come out the same where only `reach` rows around them are shown."""
    part = column[:, :, far - reach : far + multiple + reach]
    return bool((_middle(network, part, reach, multiple, scale) - whole).abs().max() <= TOLERANCE)


def _middle(network: nn.Module, column: Tensor, before: int, rows: int, scale: int) -> Tensor:
    """The output of the rows in the middle."""
    output: Tensor = network(column)
    return output[:, :, before * scale : (before + rows) * scale].float()
