"""Pictures with captions, in the layouts that people have them in. Imports no torch.

- a table: ``metadata.jsonl``, ``metadata.csv`` (Hugging Face imagefolder) or one other JSON lines or CSV file with a
  column of files and one of captions; a list, or several rows of a file, are several captions
- COCO: a JSON file with ``images`` and ``annotations``
- ``NAME.txt`` beside ``NAME.png``, a caption a line
- CUB and flowers: texts in a folder of their own (``text``, ``text_c10``) with the paths of the pictures
- the files' own names, when that is asked for: ``red_apple-2.png`` is "red apple"
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advtasks.data.folder import find_pictures
from advtasks.data.layout import Layout
from advtasks.errors import DataError

_FILES = ("file_name", "filename", "image", "image_path", "path", "file", "img")
_CAPTIONS = ("text", "caption", "captions", "texts", "prompt", "description", "sentence")
_COCO = "COCO captions"


@dataclass(frozen=True)
class Captioned:
    """A picture and what is said of it."""

    path: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Captions:
    """The captioned pictures of a folder."""

    name: str
    """The layout."""
    items: tuple[Captioned, ...]
    uncaptioned: tuple[Path, ...] = ()
    """Pictures that nothing is said of; they are left out."""
    missing: tuple[str, ...] = ()
    """Files that captions name and that are not there."""
    empty: int = 0
    """Captions without a word, left out."""

    def summary(self) -> str:
        """Numbers for people."""
        texts = [caption for item in self.items for caption in item.captions]
        words = [len(text.split()) for text in texts]
        doubles = sum(count - 1 for count in Counter(map(normalized, texts)).values())
        parts = [
            f"{len(self.items)} pictures with {len(texts)} captions of {min(words)} to {max(words)} words "
            f"({sum(words) / len(words):.1f} on average)"
        ]
        if doubles:
            parts.append(f"{doubles} captions are said of several pictures")
        if self.empty:
            parts.append(f"{self.empty} empty captions were left out")
        if self.uncaptioned:
            parts.append(f"{len(self.uncaptioned)} pictures without a caption were left out")
        if self.missing:
            parts.append(f"{len(self.missing)} captions are of files that are not there")
        return "; ".join(parts)


def normalized(caption: str) -> str:
    """For comparing: lower case, single spaces, no full stop at the end."""
    return " ".join(caption.casefold().split()).rstrip(".")


def find_captions(folder: Path, from_names: bool = False) -> Captions:
    """The captioned pictures of a folder.

    Args:
        from_names: file names are the captions, whatever else lies there.

    Raises:
        DataError: it does not exist, holds no pictures, or none has a caption.
    """
    found = find_pictures(folder)
    if not found.pictures:
        raise DataError(f"{folder}: no pictures found; sub-folders were searched, too")
    if from_names:
        return _collected("file names", [(path, [from_name(path)]) for path in found.pictures], found.pictures)
    for recognize in (_table, _coco, _beside, _parallel):
        captions = recognize(folder, found.pictures, found.others)
        if captions is not None and captions.items:
            return captions
    raise DataError(
        f"{folder}: {len(found.pictures)} pictures and no captions. Understood are metadata.jsonl or a CSV file with "
        "the columns file_name and text, COCO's captions, NAME.txt beside NAME.png, a folder text/ with the same "
        "paths; or write --captions names if red_apple.png is a red apple"
    )


def recognize(folder: Path) -> Layout | None:
    """For ``advtasks data check``."""
    try:
        found = find_captions(folder)
    except DataError:
        return None
    problems = [f"no such picture: {name}" for name in found.missing]
    roles = {"captioned pictures": tuple(item.path for item in found.items)}
    if found.uncaptioned:
        roles["pictures without a caption"] = found.uncaptioned
    return Layout(name=found.name, explanation=found.summary(), roles=roles, problems=tuple(problems))


def from_name(path: Path) -> str:
    """What a file's name says: ``Red_apple-2.png`` is "Red apple"."""
    return re.sub(r"[\s_\-]*\d*$", "", re.sub(r"[_\-]+", " ", path.stem)).strip()


def _collected(
    name: str, pairs: Iterable[tuple[Path, Sequence[str]]], pictures: Sequence[Path], missing: Sequence[str] = ()
) -> Captions:
    """Captions by picture, in the order of the files; each said once of a picture."""
    said: dict[Path, list[str]] = {}
    empty = 0
    for path, texts in pairs:
        for text in texts:
            clean = " ".join(str(text).split())
            if not clean:
                empty += 1
            elif clean not in said.setdefault(path, []):
                said[path].append(clean)
    items = tuple(Captioned(path, tuple(said[path])) for path in sorted(said) if said[path])
    told = {item.path for item in items}
    return Captions(name, items, tuple(path for path in pictures if path not in told), tuple(missing), empty)


def _placed(base: Path, name: str, known: dict[Path, Path]) -> Path | None:
    return known.get((base / name).absolute())


def _table(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Captions | None:
    tables = [path for path in others if path.suffix.lower() in (".jsonl", ".csv", ".tsv")]
    named = [path for path in tables if path.stem == "metadata"]
    known = {path.absolute(): path for path in pictures}
    pairs: list[tuple[Path, list[str]]] = []
    missing: list[str] = []
    used = []
    for table in named or tables:
        columns = None
        for number, row in _rows(table):
            columns = columns or _columns(row)
            if columns is None:
                break
            file, text = (row.get(column) for column in columns)
            if not isinstance(file, str):
                raise DataError(f"{table}: row {number} names no file")
            path = _placed(table.parent, file, known)
            if path is None:
                missing.append(f"{file} ({table.name}, row {number})")
            else:
                pairs.append((path, text if isinstance(text, list) else [str(text or "")]))
        if columns is not None:
            used.append(table.name)
    return _collected(f"table {', '.join(used)}", pairs, pictures, missing) if used else None


def _rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered from 1, as a reader counts them."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            if table.suffix.lower() != ".jsonl":
                dialect = "excel-tab" if table.suffix.lower() == ".tsv" else "excel"
                yield from enumerate(csv.DictReader(file, dialect=dialect), 1)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise DataError(f"{table}: line {number} is no JSON object")
                    yield number, row
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: not text in UTF-8 ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{table}: not JSON lines ({error})") from None
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error.strerror})") from error


def _columns(row: dict[str, Any]) -> tuple[str, str] | None:
    names = {str(name).casefold(): str(name) for name in row if name is not None}
    file = next((names[name] for name in _FILES if name in names), None)
    text = next((names[name] for name in _CAPTIONS if name in names), None)
    return None if file is None or text is None else (file, text)


def _coco(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Captions | None:
    for path in others:
        if path.suffix.lower() != ".json":
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
            continue
        by_name = {picture.name: picture for picture in pictures}
        names = {image["id"]: image["file_name"] for image in content["images"]}
        pairs, missing = [], []
        for annotation in content["annotations"]:
            if "caption" not in annotation:
                continue
            name = names.get(annotation["image_id"])
            picture = by_name.get(Path(str(name)).name)
            if picture is None:
                missing.append(f"{name} ({path.name})")
            else:
                pairs.append((picture, [annotation["caption"]]))
        if pairs:
            return _collected(_COCO, pairs, pictures, sorted(set(missing)))
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines() or [""]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 ({error.reason})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _beside(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Captions | None:
    texts = {path.with_suffix(""): path for path in others if path.suffix.lower() == ".txt"}
    pairs = [(path, texts[key]) for path in pictures if (key := path.with_suffix("")) in texts]
    if not pairs:
        return None
    used = {text for _, text in pairs}
    alone = [
        str(path.relative_to(folder)) for path in texts.values() if path not in used and path.stem.lower() != "readme"
    ]
    return _collected(
        "a text file beside each picture", [(path, _lines(text)) for path, text in pairs], pictures, alone
    )


def _parallel(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Captions | None:
    """Texts whose path ends like that of a picture: class folder and name."""
    by_end = {_end(path): path for path in pictures}
    pairs = [
        (by_end[_end(path)], _lines(path)) for path in others if path.suffix.lower() == ".txt" and _end(path) in by_end
    ]
    return _collected("texts in a folder of their own", pairs, pictures) if pairs else None


def _end(path: Path) -> tuple[str, ...]:
    """Folder and name; of pictures and texts that lie flat in two folders the name alone counts."""
    flat = path.parent.name.casefold() in ("images", "image", "text", "texts", "text_c10", "captions", "img", "jpg")
    return (path.stem,) if flat else (path.parent.name, path.stem)
