"""What ``advtasks data check`` says of captioned folders beyond the core: how they fit a text encoder. Imports no torch
until there is one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from advtasks import components
from advtasks.data.captions import find_captions, layout_of
from advtasks.data.layout import Layout
from advtasks.data.splits import own_splits
from advtasks_text2image.config import Reading

if TYPE_CHECKING:
    from advtasks_text2image.encoders import TextEncoder


def recognize(folder: Path, reading: Reading | None = None) -> Layout:
    """The layout of a captioned folder. With `reading`, captions that are longer than its encoder takes are counted.

    Raises:
        DataError: there are no captions; the message says why.
        UsageError: no such encoder.
    """
    how = "auto" if reading is None else reading.captions
    found = find_captions(folder, how == "names")
    layout = layout_of(found, folder)
    notes = list(layout.notes)
    if splits := own_splits(folder, [item.path for item in found.items]):
        sizes = ", ".join(f"{name} {len(paths)}" for name, paths in splits.items() if paths)
        notes.append(f"split as its folders say: {sizes}")
    if reading is not None:
        notes.append(_too_long([caption for item in found.items for caption in item.captions], reading.encoder))
    return dataclasses.replace(layout, notes=tuple(notes))


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
