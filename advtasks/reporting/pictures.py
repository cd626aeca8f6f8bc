"""Saving tensors as pictures, and contact sheets of what a network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from advtasks.atomic import atomic_path

CELL = 320
"""Side of a contact sheet's cells, in pixels."""


def to_rgb8(picture: Tensor) -> NDArray[np.uint8]:
    """(C, H, W) in [0, 1] to (H, W, 3) uint8, rounded."""
    array = (picture.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else np.ascontiguousarray(array)


def save_picture(path: Path, picture: Tensor) -> None:
    """Write a picture losslessly, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(to_rgb8(picture)).save(temporary, format="PNG", compress_level=3)


def read_as_tensor(path: Path) -> Tensor:
    """What :func:`save_picture` wrote, (3, H, W) in [0, 1]."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def _cell(picture: Tensor, shares: tuple[float, float]) -> Image.Image:
    """The same region of every picture of a row, whatever its resolution, enlarged without smoothing."""
    image = Image.fromarray(to_rgb8(picture))
    width, height = round(image.width * shares[0]), round(image.height * shares[1])
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height)).resize((CELL, CELL), Image.Resampling.NEAREST)


def save_contact_sheet(path: Path, examples: Sequence[Mapping[str, Tensor]]) -> None:
    """A row an example: the centre of each of its pictures, named. Written as JPEG, atomically; not without any."""
    names = [name for name in (examples[0] if examples else ()) if all(name in pictures for pictures in examples)]
    if not names:
        return
    sheet = Image.new("RGB", (len(names) * (CELL + 4) - 4, len(examples) * (CELL + 4) + 16), "white")
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(names):
        draw.text((column * (CELL + 4) + 4, 2), name, fill="black")
    for row, pictures in enumerate(examples):
        largest = max(pictures.values(), key=lambda picture: picture.shape[-1])
        height, width = largest.shape[-2:]
        side = min(width, height, CELL)
        for column, name in enumerate(names):
            cell = _cell(pictures[name], (side / width, side / height))
            sheet.paste(cell, (column * (CELL + 4), row * (CELL + 4) + 16))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="JPEG", quality=90)
