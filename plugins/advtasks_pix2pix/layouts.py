"""Which folders of pairs translation understands, without being told. Imports no torch.

- a table (``metadata.jsonl``, ``metadata.csv`` or one other CSV) with a column of paths for each side
- folders whose names say side and split: ``A`` + ``B``, ``trainA`` + ``trainB``, ``train/A`` + ``train/B``,
  ``train_label`` + ``train_img``, Cityscapes as it is unpacked; pairs have equal names
- pairs in one folder: ``x_A.png`` + ``x_B.png``, ``x-line.png`` + ``x-flat.png``
- pictures of twice their height's width: A is the left half, B the right one
- any pictures, with ``--make-input``
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from advtasks.data.folder import find_pictures
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
    side_of_folders,
    split_of,
    words_of,
)
from advtasks_pix2pix.tables import find_table

_MOST_NAMED = 8


class NoPairs(DataError):
    """No pictures, or none that are pairs of a known layout."""


def find_pairs(folder: Path, layout: str = "auto", made: bool = False, direction: str = "AtoB") -> Pairs:
    """The pairs of a folder.

    Args:
        layout: ``auto``, ``ab`` or ``pictures``.
        made: inputs are made from the targets: all pictures of an unknown layout are targets.
        direction: ``BtoA`` takes B for the input.

    Raises:
        DataError: it does not exist, or a table in it cannot be read.
        NoPairs: there are no pictures, or their layout is not known.
    """
    found = find_pictures(folder, inside=False)
    pairs = find_table(folder, found.pictures, found.others) if layout == "auto" and not made else None
    if pairs is None and not found.pictures:
        raise NoPairs(f"{folder}: no pictures found; sub-folders were searched, too")
    pairs = pairs or _recognized(folder, found.pictures, found.others, layout, made)
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
        for recognizer in (_named_folders, _endings, _doubles):
            if (pairs := recognizer(folder, pictures, others)) is not None:
                return pairs
        raise NoPairs(
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
    found, strays = Found(), []
    for path in pictures:
        parts = path.relative_to(folder).parts[:-1]
        side = side_of_folders(parts)
        if side is None:
            strays.append(path)
            continue
        if side == "unused" or is_spare(path):
            found.ignored.append(path)
            continue
        kept = [part for part in parts if side_of(words_of(part)) is None and not set(words_of(part)) & SPLITS.keys()]
        found.add(split_of(path.relative_to(folder)), side, "/".join((*kept, bare(path.stem))), path)
    if not {"A", "B"} <= {side for (_, side), files in found.sides.items() if files} or 2 * len(strays) > len(pictures):
        return None
    found.ignored = [*strays, *found.ignored, *others]
    examples: dict[str, str] = {}
    for (_, side), files in sorted(found.sides.items(), key=lambda item: item[0][0] != "train"):
        for path in files.values():
            examples.setdefault(side, path.parent.name)
    return found.result(
        "folders of both sides",
        f"pairs of equal name: A is {examples['A']}, B is {examples['B']}; A is the input (--direction BtoA turns it)"
        + _left_out(strays, "its folder says no side"),
    )


def _few(strays: Sequence[Path], pictures: Sequence[Path]) -> bool:
    """Whether what does not fit is a minority that says nothing of the others."""
    return 4 * len(strays) <= len(pictures)


def _left_out(strays: Sequence[Path], why: str) -> str:
    """For the user."""
    if not strays:
        return ""
    named = ", ".join(path.name for path in strays[:_MOST_NAMED]) + (", ..." if len(strays) > _MOST_NAMED else "")
    return f"; not used, since {why}: {named}"


def _endings(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs | None:
    """Names have one of two endings, and pair."""
    endings: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        match = ENDING.search(path.stem)
        endings[match[1] if match is not None else ""].append(path)
    common = sorted((ending for ending in endings if ending), key=lambda ending: (-len(endings[ending]), ending))[:2]
    strays = [path for ending, paths in endings.items() if ending not in common for path in paths]
    if len(common) != 2 or not _few(strays, pictures):
        return None
    first, second = sorted(common)
    a, b = (second, first) if side_of([first.lower()]) == "B" or side_of([second.lower()]) == "A" else (first, second)
    found = Found(ignored=[*strays, *others])
    for side, ending in (("A", a), ("B", b)):
        for path in endings[ending]:
            key = key_of(path, folder).removesuffix(ending)[:-1]
            found.add(split_of(path.relative_to(folder)), side, key, path)
    if not any(found.sides[split, "A"].keys() & found.sides[split, "B"].keys() for split in SPLITS.values()):
        return None
    return found.result(
        "pairs by ending",
        f"A ends in {a!r}, B in {b!r}; A is the input (--direction BtoA turns it)"
        + _left_out(strays, "the name has neither ending"),
    )


def _doubles(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs | None:
    """Pictures (that can be read) are twice as wide as high."""
    from advtasks.pictures.decode import picture_size

    strays, known = [], 0
    for path in pictures:
        try:
            width, height = picture_size(path)
        except DataError:
            continue
        known += 1
        if width != 2 * height:
            strays.append(path)
    if not known or len(strays) == known or not _few(strays, pictures):
        return None
    pairs = _side_by_side(folder, [path for path in pictures if path not in set(strays)], [*strays, *others])
    explanation = pairs.explanation + _left_out(strays, "it is not twice as wide as high")
    return replace(pairs, explanation=explanation)


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


def _pairs_or_targets(folder: Path) -> Pairs:
    try:
        return find_pairs(folder)
    except NoPairs:
        every = find_pairs(folder, made=True)
        explanation = f"no pairs were recognised, so training needs --make-input: {every.explanation}"
        return replace(every, explanation=explanation)


def recognize(folder: Path) -> Layout | None:
    """What ``advtasks data check`` tells about a folder; None if it holds no pictures."""
    from advtasks_pix2pix.reading import survey

    try:
        pairs = _pairs_or_targets(folder)
    except NoPairs:
        return None
    except DataError as error:
        return Layout(name="unreadable", explanation="training stops", roles={}, problems=(str(error),))
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
