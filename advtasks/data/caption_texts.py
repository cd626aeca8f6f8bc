"""Captions in text files, one for each picture: beside it, or in a folder of their own. Imports no torch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from advtasks.data.captioned import Reading
from advtasks.data.folder import composed
from advtasks.data.text_file import read_text
from advtasks.errors import DataError

_FLAT = ("images", "image", "text", "texts", "text_c10", "captions", "img", "jpg", "pictures", "photos")
"""Folders that say nothing of what lies in them."""


def read_beside(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Reading:
    """``NAME.txt`` beside ``NAME.png``."""
    name = "a text file beside each picture"
    texts = {composed(str(path.with_suffix(""))): path for path in others if path.suffix.lower() == ".txt"}
    pairs = [(path, texts[key]) for path in pictures if (key := composed(str(path.with_suffix("")))) in texts]
    if not pairs:
        return Reading(name)
    used = {text for _, text in pairs}
    alone = [path for path in texts.values() if path not in used]
    return Reading(name, [(path, _lines(text)) for path, text in pairs], _missing(alone, folder))


def read_parallel(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Reading:
    """Texts whose path ends like that of a picture: class folder and name; or the name alone, where the pictures lie
    in no folders of classes and one picture and one text have the name.

    Raises:
        DataError: a text may be of several pictures.
    """
    texts = [path for path in others if path.suffix.lower() == ".txt"]
    by_end: dict[tuple[str, ...], list[Path]] = {}
    by_stem: dict[str, list[Path]] = {}
    for path in pictures:
        by_end.setdefault(_end(path), []).append(path)
        by_stem.setdefault(composed(path.stem), []).append(path)
    stems = Counter(composed(path.stem) for path in texts)
    pairs, alone = [], []
    for text in texts:
        fitting = _nearest(text, by_end.get(_end(text), []))
        if not fitting and stems[composed(text.stem)] == 1:
            same = by_stem.get(composed(text.stem), [])
            fitting = (
                same if len(same) == 1 and (_flat(same[0].parent) or len(same[0].relative_to(folder).parts) < 3) else []
            )
        pairs += [(path, text) for path in fitting]
        if not fitting:
            alone.append(text)
    homes = {text.parent for _, text in pairs}
    roots = {home.parent for home in homes if not _flat(home) and home.parent != folder}
    lost = [path for path in alone if path.parent in homes or path.parent.parent in roots]
    return Reading(
        "texts in a folder of their own", [(path, _lines(text)) for path, text in pairs], _missing(lost, folder)
    )


def _lines(path: Path) -> list[str]:
    return read_text(path).splitlines() or [""]


def _missing(texts: Sequence[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in texts if path.stem.lower() != "readme"]


def _flat(folder: Path) -> bool:
    return folder.name.casefold() in _FLAT


def _end(path: Path) -> tuple[str, ...]:
    """Folder and name; of pictures and texts that lie flat in two folders the name alone counts."""
    return (composed(path.stem),) if _flat(path.parent) else (composed(path.parent.name), composed(path.stem))


def _nearest(text: Path, pictures: Sequence[Path]) -> Sequence[Path]:
    """Those that have the longest beginning of their path in common with the text."""
    lengths = [len(os.path.commonpath([text, path])) for path in pictures]
    best = [path for path, length in zip(pictures, lengths, strict=True) if length == max(lengths)]
    if len({path.parent for path in best}) > 1:
        raise DataError(f"{text} may be of {best[0]} or {best[1]}; rename one, or write a table metadata.jsonl")
    return best
