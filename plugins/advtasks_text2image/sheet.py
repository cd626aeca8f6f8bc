"""Pictures with their captions, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_LINE = 12


def sheet(pictures: Tensor, captions: Sequence[str], columns: int = 4, cell: int = 128) -> Tensor:
    """A grid (3, H, W) in [0, 1] of pictures (N, 3, S, S), each with its caption below, which is cut to its width."""
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * (cell + 4) - 4, rows * (cell + _LINE + 6)), "white")
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(_LINE - 2)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = number % columns * (cell + 4), number // columns * (cell + _LINE + 6)
        pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        side = cell // pixels.shape[0] * pixels.shape[0] or cell
        whole.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST), (left, top))
        text = " ".join(caption.split())
        while text and draw.textlength(text, font) > cell:
            text = text[:-1]
        draw.text((left, top + cell + 1), text, fill="black", font=font)
    return torch.from_numpy(np.array(whole)).permute(2, 0, 1).float() / 255
