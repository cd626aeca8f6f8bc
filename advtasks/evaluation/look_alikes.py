"""Pictures that are (nearly) the same: neighbours by features, confirmed on their pixels.

Features alone do not tell a copy from a picture of the same kind. Pixels do: the fine structure of small thumbnails is
compared, also mirrored, moved and enlarged by a few percent, so that compression, noise, a cut border or a flip hide
nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, pad

THUMBNAIL = 32
LOOK = THUMBNAIL**2 + 5
"""Bytes of a look."""
CORRELATION = 0.75
"""Of the fine structure, from which two pictures are the same. Pairs of crops of different photographs stay below 0.66
(190 crops of 96 pixels, all pairs); 95 % of copies by JPEG 85, noise of 2 levels, 2 pixels less or a flip are above
0.81."""
_EQUAL = 2.0
"""Levels that thumbnails of pictures without structure, such as skies, may differ by: noise is all that theirs is."""
_ALIKE = 0.7
"""Correlation of the coarse structure below which the fine one is not looked at."""
_PROMISING = 0.15
"""Correlation of the fine structure below which moves are not tried; pictures that were cut by 2 pixels are above."""
_COLOR = 16
"""Levels that the mean colours may differ by."""
_STILL = ((1.0, 0.0, 0.0),)
_MOVES = tuple(itertools.product((0.955, 1.0, 1.045), (-0.04, 0.0, 0.04), (-0.04, 0.0, 0.04)))
"""Zooms, and shifts in halves of the side: a border of 2 pixels in a hundred, and a cut on one side."""
_PAIRS = 256


def look(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) bytes to what is kept of them whatever the backbone: a grey thumbnail, the smallest and the largest
    value, and the mean colour."""
    grey = Image.fromarray(pixels.mean(2, dtype=np.float32)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    mean = pixels.mean((0, 1), dtype=np.float64)
    return np.concatenate((np.asarray(grey).flatten(), (pixels.min(), pixels.max()), mean)).round().astype(np.uint8)


def same_picture(first: Tensor, second: Tensor, candidates: Tensor) -> Tensor:
    """(N,) bool: whether a picture is that of one of its candidates.

    Args:
        first: (N, LOOK) bytes of :func:`look`.
        second: (M, LOOK) bytes.
        candidates: (N, k) numbers among the second, for example the nearest by features.
    """
    found = torch.zeros(len(first), dtype=torch.bool)
    for others in candidates.T:
        rows = (~found).nonzero()[:, 0]
        rows = rows[_near(first[rows], second[others[rows]])]
        for part in rows.split(_PAIRS) if len(rows) else ():
            found[part] = _same(_thumbnails(first[part]), _thumbnails(second[others[part]]))
    return found


def _same(one: Tensor, other: Tensor) -> Tensor:
    """(P,) bool, of pairs of thumbnails (P, 1, T, T)."""
    still = _correlation(one, other, _STILL)
    same = (still > CORRELATION) | (_difference(one, other) < _EQUAL)
    open_ = (~same & (still > _PROMISING)).nonzero()[:, 0]
    if len(open_):
        same[open_] = _correlation(one[open_], other[open_], _MOVES) > CORRELATION
    return same


def _thumbnails(looks: Tensor) -> Tensor:
    return looks[:, : THUMBNAIL**2].reshape(-1, 1, THUMBNAIL, THUMBNAIL).float()


def _near(one: Tensor, other: Tensor) -> Tensor:
    """(P,) bool: pairs whose colours and coarse structure do not rule out that they are the same."""
    if not len(one):
        return torch.zeros(0, dtype=torch.bool)
    color = (one[:, -3:].float() - other[:, -3:].float()).abs().amax(1) <= _COLOR
    small, another = (avg_pool2d(_thumbnails(side), 4) for side in (one, other))
    coarse = torch.maximum(*((_unit(small) * _unit(x)).sum(1) for x in (another, another.flip(3))))
    return color & (coarse > _ALIKE)


def _correlation(one: Tensor, other: Tensor, moves: Sequence[tuple[float, float, float]]) -> Tensor:
    """(P,) the best correlation of the fine structure of pairs (P, 1, T, T) over small moves and mirroring."""
    wanted = _unit(_fine(one))
    best = torch.full((len(one),), -1.0)
    for zoom, right, down in moves:
        place = torch.tensor([[[zoom, 0, right], [0, zoom, down]]]).expand(len(one), 2, 3)
        grid = affine_grid(place, list(other.shape), align_corners=False)
        for side in (other, other.flip(3)):
            moved = grid_sample(side, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
            best = torch.maximum(best, (wanted * _unit(_fine(moved))).sum(1))
    return best


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """(P,) root mean square, mirrored or not, in levels."""
    found = [(one - side).square().mean((1, 2, 3)).sqrt() for side in (other, other.flip(3))]
    return torch.minimum(*found)


def _fine(thumbnails: Tensor) -> Tensor:
    """What a mean over 5x5 leaves out, without the border."""
    smooth = avg_pool2d(pad(thumbnails, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return (thumbnails - smooth)[..., 2:-2, 2:-2]


def _unit(values: Tensor) -> Tensor:
    """(P, 1, H, W) to (P, H · W) of mean 0 and length 1; flat ones stay 0 and are like nothing."""
    centred = values.flatten(1) - values.flatten(1).mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-3)
