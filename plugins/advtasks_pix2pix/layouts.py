"""Which folders of pairs translation understands, without being told. Imports no torch.

- a table (``metadata.jsonl``, ``metadata.csv`` or one other CSV) with a column of paths for each side
- folders whose names say side and split: ``A`` + ``B``, ``trainA`` + ``trainB``, ``train/A`` + ``train/B``,
  ``train_label`` + ``train_img``, Cityscapes as it is unpacked; pairs have equal names
- pairs in one folder: ``x_A.png`` + ``x_B.png``, ``x-line.png`` + ``x-flat.png``
- pictures of twice their height's width: A is the left half, B the right one
- any pictures, with ``--make-input``
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from advtasks.data.folder import EXTENSIONS, find_pictures
from advtasks.data.layout import Layout
from advtasks.errors import AdvtasksError, DataError
from advtasks_pix2pix.pairing import (
    ENDING,
    SPLITS,
    Found,
    Pair,
    Pairs,
    Side,
    bare,
    is_spare,
    key_of,
    side_of,
    split_of,
    words_of,
)


def find_pairs(folder: Path, layout: str = "auto", made: bool = False, direction: str = "AtoB") -> Pairs:
    """The pairs of a folder.

    Args:
        layout: ``auto``, ``ab`` or ``pictures``.
        made: inputs are made from the targets: all pictures of an unknown layout are targets.
        direction: ``BtoA`` takes B for the input.

    Raises:
        DataError: it does not exist, holds no pictures, or its layout is not known.
    """
    found = find_pictures(folder, inside=False)
    if not found.pictures:
        raise DataError(f"{folder}: no pictures found; sub-folders were searched, too")
    pairs = _recognized(folder, found.pictures, found.others, layout, made)
    if direction == "BtoA":
        train, validation, test = map(_turned, (pairs.train, pairs.validation, pairs.test))
        return replace(pairs, train=train, validation=validation, test=test)
    return pairs


def _turned(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple(Pair(p.name, p.target, p.input) if p.input is not None else p for p in pairs)


def _recognized(folder: Path, pictures: Sequence[Path], others: Sequence[Path], layout: str, made: bool) -> Pairs:
    if layout == "ab":
        return _side_by_side(folder, pictures, others)
    if layout == "auto" and not made:
        for recognizer in (_table, _named_folders, _endings):
            if (pairs := recognizer(folder, pictures, others)) is not None:
                return pairs
        if _all_double(pictures):
            return _side_by_side(folder, pictures, others)
        raise DataError(
            f"{folder}: no pairs recognised. Known are folders A and B (or trainA and trainB, train_label and "
            "train_img, ...), files NAME_A and NAME_B, a metadata.jsonl or CSV with two columns of paths, and pictures "
            "with both sides beside each other (--layout ab). To make the input from each picture: --make-input edges "
            "(or grey, lowres, mask, sketch, blur)"
        )
    by_split: dict[str, list[Pair]] = defaultdict(list)
    for path in pictures:
        by_split[split_of(path.relative_to(folder))].append(Pair(key_of(path, folder), None, Side(path)))
    explanation = "every picture is a target; its input is made from it (--make-input)"
    return Pairs.of("pictures", explanation, by_split, others)


def _named_folders(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs | None:
    """Sides by the names of folders; what is said twice must agree."""
    found = Found(ignored=list(others))
    for path in pictures:
        parts = path.relative_to(folder).parts[:-1]
        words = [word for part in parts for word in words_of(part)]
        side = side_of(word for word in words if word not in SPLITS)
        if side is None:
            return None
        if side == "unused" or is_spare(path):
            found.ignored.append(path)
            continue
        kept = [part for part in parts if side_of(words_of(part)) is None and not set(words_of(part)) & SPLITS.keys()]
        found.add(split_of(path.relative_to(folder)), side, "/".join((*kept, bare(path.stem))), path)
    if not {"A", "B"} <= {side for (_, side), files in found.sides.items() if files}:
        return None
    examples: dict[str, str] = {}
    for (_, side), files in sorted(found.sides.items(), key=lambda item: item[0][0] != "train"):
        for path in files.values():
            examples.setdefault(side, path.parent.name)
    return found.result(
        "folders of both sides",
        f"pairs of equal name: A is {examples['A']}, B is {examples['B']}; A is the input (--direction BtoA turns it)",
    )


def _endings(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs | None:
    """Every name has one of two endings, and all pair."""
    endings: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        match = ENDING.search(path.stem)
        if match is None:
            return None
        endings[match[1]].append(path)
    if len(endings) != 2:
        return None
    first, second = sorted(endings)
    a, b = (second, first) if side_of([first.lower()]) == "B" or side_of([second.lower()]) == "A" else (first, second)
    found = Found(ignored=list(others))
    for side, ending in (("A", a), ("B", b)):
        for path in endings[ending]:
            key = key_of(path, folder).removesuffix(ending)[:-1]
            found.add(split_of(path.relative_to(folder)), side, key, path)
    if not any(found.sides[split, "A"].keys() & found.sides[split, "B"].keys() for split in SPLITS.values()):
        return None
    return found.result("pairs by ending", f"A ends in {a!r}, B in {b!r}; A is the input (--direction BtoA turns it)")


def _all_double(pictures: Sequence[Path]) -> bool:
    """Whether every picture (that can be read) is twice as wide as high."""
    from advtasks.pictures.decode import picture_size

    known = 0
    for path in pictures:
        try:
            width, height = picture_size(path)
        except DataError:
            continue
        if width != 2 * height:
            return False
        known += 1
    return known > 0


def _side_by_side(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs:
    from advtasks.pictures.decode import picture_size

    splits: dict[str, list[Pair]] = defaultdict(list)
    problems = []
    for path in pictures:
        try:
            width, _ = picture_size(path)
        except DataError:
            width = 0  # named when it is decoded
        if width % 2:
            problems.append(f"{path}: {width} pixels wide, an odd number: it does not hold two pictures of equal size")
            continue
        pair = Pair(key_of(path, folder), Side(path, "left"), Side(path, "right"))
        splits[split_of(path.relative_to(folder))].append(pair)
    explanation = "both sides in one picture: A is the left half and the input, B the right one (--direction BtoA)"
    return Pairs.of("side by side", explanation, splits, others, problems)


def _table(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs | None:
    """A table of paths, the first two columns that hold some."""
    tables = [path for path in others if path.suffix.lower() in (".jsonl", ".csv")]
    named = [path for path in tables if path.stem == "metadata"] or (tables if len(tables) == 1 else [])
    if not named:
        return None
    found = Found(ignored=[path for path in others if path not in named])
    columns: list[str] = []
    for table in named:
        rows = _rows(table)
        columns = [name for name in (rows[0] if rows else {}) if str(rows[0][name]).lower().endswith(tuple(EXTENSIONS))]
        if len(columns) != 2:
            return None
        a, b = columns if side_of(["".join(words_of(columns[0]))]) != "B" else columns[::-1]
        for number, row in enumerate(rows, 1):
            paths = [table.parent / str(row.get(name) or "") for name in (a, b)]
            missing = [path for path in paths if not path.is_file()]
            if missing:
                found.problems.append(f"{table}, row {number}: {missing[0]} does not exist")
                continue
            split = SPLITS.get(str(row.get("split", "")).lower()) or split_of(paths[1].relative_to(folder))
            for side, path in zip("AB", paths, strict=True):
                found.add(split, side, f"{table.parent.name} {number:06d}", path)
    used = {path for files in found.sides.values() for path in files.values()}
    found.ignored += [path for path in pictures if path not in used]
    return found.result("table", f"{named[0].name}: A is the column {a!r} and the input, B is {b!r} (--direction BtoA)")


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
        if table.suffix.lower() == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return list(csv.DictReader(text.splitlines()))
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as a table ({error})") from None


def recognize(folder: Path) -> Layout | None:
    """What ``advtasks data check`` tells about a folder; None if it holds no pictures."""
    from advtasks_pix2pix.reading import survey

    try:
        pairs = find_pairs(folder)
    except DataError:
        try:
            pairs = find_pairs(folder, made=True)
        except DataError:
            return None
    explanation, problems = pairs.explanation, list(pairs.problems)
    for side in ("input", "target"):
        found = [one for pair in pairs.every() if (one := getattr(pair, side)) is not None]
        try:
            explanation += f"; {'AB'[side == 'target']}: {survey(found, 'auto', folder).described}" if found else ""
        except AdvtasksError as error:
            problems.append(str(error))
    roles = {}
    for split in ("train", "validation", "test"):
        items: tuple[Pair, ...] = getattr(pairs, split)
        roles[f"{split}, A"] = tuple(pair.input.path for pair in items if pair.input is not None)
        roles[f"{split}, B"] = tuple(pair.target.path for pair in items)
    return Layout(
        name=pairs.name,
        explanation=explanation,
        roles={name: files for name, files in roles.items() if files},
        ignored=pairs.ignored,
        problems=tuple(problems),
    )
