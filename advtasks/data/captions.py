"""Pictures with captions, in the layouts that people have them in. Imports no torch.

- a table: ``metadata.jsonl``, ``metadata.csv`` (Hugging Face imagefolder) or another JSON lines, CSV, TSV or text
  file with a column of files and one of captions; a list, or several rows of a file, are several captions
- COCO: JSON files with ``images`` and ``annotations``
- ``NAME.txt`` beside ``NAME.png``, a caption a line
- CUB and flowers: texts in a folder of their own (``text``, ``text_c10``) with the pictures' paths, or their names
- the files' own names, when that is asked for: ``red_apple-2.png`` is "red apple"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from advtasks.data.caption_tables import read_tables
from advtasks.data.caption_texts import read_beside, read_parallel
from advtasks.data.captioned import Captioned, Captions, Reading, normalized
from advtasks.data.coco_captions import read_coco
from advtasks.data.folder import find_pictures
from advtasks.data.layout import Layout
from advtasks.data.listing import few
from advtasks.errors import DataError


class NoCaptions(DataError):
    """Nothing in a folder of pictures is a caption of one."""


def find_captions(folder: Path, from_names: bool = False) -> Captions:
    """The captioned pictures of a folder.

    Args:
        from_names: file names are the captions, whatever else lies there.

    Raises:
        DataError: it does not exist, holds no pictures, or none has a caption; the message says why.
    """
    found = find_pictures(folder)
    if not found.pictures:
        raise DataError(found.none_in(folder))
    if from_names:
        names = Reading("file names", [(path, [from_name(path)]) for path in found.pictures])
        captions = names.collected(found.pictures)
        if not captions.items:
            raise DataError(f"{folder}: no file name says anything, such as {found.pictures[0].name}")
        return captions
    passed: list[str] = []
    for read in (read_tables, read_coco, read_beside, read_parallel):
        reading = read(folder, found.pictures, found.others)
        passed += reading.passed
        if reading.pairs:
            captions = Reading(reading.name, reading.pairs, reading.missing, passed).collected(found.pictures)
            if captions.items:
                return captions
            passed.append(f"{reading.name}: all captions are empty")
    known = (
        "Understood are metadata.jsonl or a CSV file with the columns file_name and text, COCO's captions, NAME.txt "
        "beside NAME.png, a folder text/ with the same paths; or write --captions names if red_apple.png is a red apple"
    )
    first = f"{folder}: {len(found.pictures)} pictures and no captions"
    raise NoCaptions("\n  ".join([first, *passed, known]) if passed else f"{first}. {known}")


def recognize(folder: Path, captions: str = "auto") -> Layout:
    """For ``advtasks data check``.

    Args:
        captions: as in training: auto or names.

    Raises:
        DataError: there are no captions; the message says why.
    """
    return layout_of(find_captions(folder, captions == "names"), folder)


def layout_of(found: Captions, folder: Path) -> Layout:
    """The same, of captions that are found."""
    problems = [f"no such picture: {name}" for name in found.missing]
    roles = {"captioned pictures": tuple(item.path for item in found.items)}
    if found.uncaptioned:
        roles["pictures without a caption"] = found.uncaptioned
    notes = tuple(_notes(found, folder))
    return Layout(name=found.name, explanation=found.summary(), roles=roles, problems=tuple(problems), notes=notes)


def from_name(path: Path) -> str:
    """What a file's name says: ``Red_apple-2.png`` is "Red apple"."""
    return re.sub(r"[\s_\-]*\d*$", "", re.sub(r"[_\-]+", " ", path.stem)).strip()


def _notes(found: Captions, folder: Path) -> Iterator[str]:
    """What a user should look at, by name."""
    if found.uncaptioned:
        yield "without a caption: " + few([str(path.relative_to(folder)) for path in found.uncaptioned])
    if shared := found.shared():
        yield "said of several pictures: " + few([f"{text[:60]!r} ({count})" for text, count in shared])


__all__ = ["Captioned", "Captions", "NoCaptions", "find_captions", "from_name", "layout_of", "normalized", "recognize"]
