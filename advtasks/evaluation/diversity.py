"""How alike pictures of one folder are: MS-SSIM of random pairs (Odena et al. 2017, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from advtasks.evaluation.folder_features import resized
from advtasks.evaluation.intervals import Estimate, mean_interval
from advtasks.losses import multi_scale_ssim
from advtasks.pictures.decode import read_picture

SIDE = 176
"""Of the squares that pictures are resized to: the least that all five scales take."""
_BATCH = 10


@torch.inference_mode()
def pair_similarity(paths: Sequence[Path], pairs: int = 50, seed: int = 0) -> Estimate:
    """Mean MS-SSIM of random pairs of different files, resized to a square, with its interval of 95 %: 1 for a
    generator that always makes the same picture. Compare it with that of real pictures; the paper takes pairs of one
    class.

    Raises:
        ValueError: fewer than two files.
    """
    if len(paths) < 2:
        raise ValueError("two pictures at least are needed for a pair")
    draws = torch.Generator().manual_seed(seed)
    chosen = torch.stack([torch.randperm(len(paths), generator=draws)[:2] for _ in range(pairs)])
    values = []
    for part in chosen.split(_BATCH):
        one, other = (torch.stack([_square(paths[int(number)]) for number in numbers]) for numbers in part.T)
        values.append(multi_scale_ssim(one, other))
    return mean_interval(torch.cat(values))


def _square(path: Path) -> Tensor:
    return torch.from_numpy(resized(read_picture(path).rgb8(), SIDE))
