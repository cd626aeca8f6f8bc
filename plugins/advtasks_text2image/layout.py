"""What ``advtasks data check`` says of captioned folders beyond the core: how they fit a text encoder. Imports no torch
until there is one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from advtasks import components
from advtasks.data import captions as captioned_folders
from advtasks.data.captions import find_captions
from advtasks.data.layout import Layout
from advtasks_text2image.config import Reading

if TYPE_CHECKING:
    from advtasks_text2image.encoders import TextEncoder


def recognize(folder: Path, reading: Reading | None = None) -> Layout:
    """The layout of a captioned folder. With `reading`, captions that are longer than its encoder takes are counted.

    Raises:
        DataError: there are no captions; the message says why.
        UsageError: no such encoder.
    """
    if reading is None:
        return captioned_folders.recognize(folder)
    layout = captioned_folders.recognize(folder, reading.captions)
    found = find_captions(folder, reading.captions == "names")
    texts = [caption for item in found.items for caption in item.captions]
    return dataclasses.replace(layout, notes=(*layout.notes, _too_long(texts, reading.encoder)))


def _too_long(texts: list[str], encoder: str) -> str:
    built: TextEncoder = components.build("text_encoders", encoder)
    cut = built.cut(texts)
    count = sum(map(bool, cut))
    if not count:
        return f"no caption is longer than {built.name} takes"
    longest = max(range(len(texts)), key=lambda number: cut[number])
    return (
        f"{count} of {len(texts)} captions are longer than {built.name} takes and will be cut, most {cut[longest]} "
        f"tokens of {texts[longest][:60]!r}"
    )
