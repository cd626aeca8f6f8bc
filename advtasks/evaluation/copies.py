"""Generated pictures that are copies of training pictures, and test pictures that were trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from advtasks.evaluation.folder_features import FolderFeatures
from advtasks.evaluation.look_alikes import same_picture
from advtasks.evaluation.support import nearest_few, nearest_other

CANDIDATES = 5
"""Neighbors by features whose pixels are looked at."""


@dataclass(frozen=True)
class Neighbors:
    """The nearest pictures of another folder."""

    distances: Tensor
    """(N, k), nearest first."""
    numbers: Tensor
    """(N, k)."""


def neighbors(of: FolderFeatures, among: FolderFeatures) -> Neighbors:
    """By features."""
    return Neighbors(*nearest_few(of.features, among.features, CANDIDATES))


def apart(side: FolderFeatures) -> Tensor:
    """The distance of each different file to its nearest other one: files that are there twice have no say."""
    first = {content: number for number, content in reversed(list(enumerate(side.contents)))}
    different = side.features[sorted(first.values())]
    return nearest_other(different) if len(different) > 1 else torch.zeros(1, dtype=torch.float64)


def repeated(of: FolderFeatures, among: FolderFeatures, near: Neighbors) -> Tensor:
    """(N,) bool: pictures that are (nearly) one of another folder: the same file, or a neighbor with the same pixels
    but for compression, noise, a cut border or a flip."""
    known = set(among.contents)
    found = torch.tensor([content in known for content in of.contents])
    if of.looks is None or among.looks is None:
        return found
    return found | same_picture(of.looks, among.looks, near.numbers)
