"""How far label maps agree (Long et al. 2015, section 5; the label scores of Isola et al. 2017, section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion(found: Tensor, wanted: Tensor, classes: int) -> Tensor:
    """(classes, classes) counts: row the right class, column the one found. Class numbers of any equal shape."""
    return torch.bincount((wanted * classes + found).flatten(), minlength=classes**2).reshape(classes, classes).double()


def pixel_accuracy(found: Tensor, wanted: Tensor, classes: int) -> float:
    """Share of pixels of the right class."""
    return (found == wanted).double().mean().item()


def class_accuracy(found: Tensor, wanted: Tensor, classes: int) -> float:
    """Mean over the classes that are there of the share of their pixels found."""
    counts = confusion(found, wanted, classes)
    there = counts.sum(1) > 0
    return (counts.diagonal()[there] / counts.sum(1)[there]).mean().item()


def mean_iou(found: Tensor, wanted: Tensor, classes: int) -> float:
    """Mean over the classes that are there, found or wanted, of intersection over union."""
    counts = confusion(found, wanted, classes)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    there = union > 0
    return (counts.diagonal()[there] / union[there]).mean().item()
