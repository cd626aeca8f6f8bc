"""Which folders of pairs translation understands, without being told. Imports no torch.

- a table (``metadata.jsonl``, ``metadata.csv`` or one other CSV) with a column of paths for each side
- folders whose names say side and split: ``A`` + ``B``, ``trainA`` + ``trainB``, ``train/A`` + ``train/B``,
  ``train_label`` + ``train_img``, Cityscapes as it is unpacked; pairs have equal names
- pairs in one folder: ``x_A.png`` + ``x_B.png``, ``x-line.png`` + ``x-flat.png``
- pictures of twice their height's width: A is the left half, B the right one
- any pictures, with ``--make-input``

Tar archives and Hugging Face data sets are folders: two archives ``A.tar`` and ``B.tar``, ``x.A.png`` + ``x.B.png`` in
any archive (webdataset), two columns of pictures whose names say the side.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from advtasks.data.folder import find_pictures, key_of
from advtasks.data.layout import Layout
from advtasks.data.listing import few
from advtasks.data.parallel import in_parallel
from advtasks.data.splits import SPLITS
from advtasks.errors import AdvtasksError, DataError
from advtasks_pix2pix.config import Reading
from advtasks_pix2pix.pairing import (
    ENDING,
    Found,
    Pair,
    Pairs,
    Side,
    a_then_b,
    bare,
    is_spare,
    side_of_folder,
    size_of,
    split_of,
    telling_depths,
    words_of,
)
from advtasks_pix2pix.tables import find_table

_AS_FOUND = Reading()


class NoPairs(DataError):
    """No pictures, or none that are pairs of a known layout."""


def find_pairs(folder: Path, layout: str = "auto", made: bool = False, direction: str = "AtoB") -> Pairs:
    """The pairs of a folder.

    Args:
        layout: ``auto``, ``ab`` or ``pictures``.
        made: inputs are made from the targets: those of folders of both sides, else all pictures.
        direction: ``BtoA`` takes B for the input.

    Raises:
        DataError: it does not exist, or a table in it cannot be read.
        NoPairs: there are no pictures, or their layout is not known.
    """
    found = find_pictures(folder)
    pairs = find_table(folder, found.pictures, found.others) if layout == "auto" and not made else None
    if pairs is None and not found.pictures:
        raise NoPairs(found.none_in(folder))
    if pairs is None and made and layout == "auto":
        pairs = _named_folders(folder, found.pictures, found.others, targets="A" if direction == "BtoA" else "B")
    pairs = pairs or _recognized(folder, found.pictures, found.others, layout, made)
    if direction == "BtoA":
        pairs = _each(pairs, lambda pair: Pair(pair.name, pair.target, pair.input) if pair.input is not None else pair)
    return pairs


def _each(pairs: Pairs, change: Callable[[Pair], Pair]) -> Pairs:
    train, validation, test = (tuple(map(change, split)) for split in (pairs.train, pairs.validation, pairs.test))
    return replace(pairs, train=train, validation=validation, test=test)


def _recognized(folder: Path, pictures: Sequence[Path], others: Sequence[Path], layout: str, made: bool) -> Pairs:
    if layout == "ab":
        return _side_by_side(folder, pictures, others)
    if layout == "auto" and not made:
        for recognizer in (_named_folders, _endings, _doubles):
            if (pairs := recognizer(folder, pictures, others)) is not None:
                return pairs
        raise NoPairs(
            f"{folder}: no pairs recognised. Known are folders A and B (or trainA and trainB, train_label and "
            "train_img, ...; columns of a data set count as folders), files NAME_A and NAME_B, a metadata.jsonl or "
            "CSV with two columns of paths, and pictures with both sides beside each other (--layout ab). To make the "
            "input from each picture: --make-input edges (or grey, lowres, mask, sketch, blur)"
        )
    by_split: dict[str, list[Pair]] = defaultdict(list)
    for path in pictures:
        by_split[split_of(path.relative_to(folder))].append(Pair(key_of(path, folder), None, Side(path)))
    explanation = "every picture is a target; its input is made from it (--make-input)"
    return Pairs.of("pictures", explanation, by_split, others)


def _named_folders(folder: Path, pictures: Sequence[Path], others: Sequence[Path], targets: str = "") -> Pairs | None:
    """Sides by the names of folders; what is said twice must agree. With `targets` all pictures of that side."""
    placed, strays, ignored = [], [], []
    folders = [path.relative_to(folder).parts[:-1] for path in pictures]
    telling = telling_depths(folders)
    for path, parts in zip(pictures, folders, strict=True):
        said = [side_of_folder(part) if tells else None for part, tells in zip(parts, telling, strict=False)]
        sides = {side for side in said if side is not None}
        if "unused" in sides or (sides and is_spare(path)):
            ignored.append(path)
        elif len(sides) != 1:
            strays.append(path)
        else:
            kept = [
                p for p, side in zip(parts, said, strict=True) if side is None and not set(words_of(p)) & SPLITS.keys()
            ]
            where = next(part for part, side in zip(parts, said, strict=True) if side is not None)
            placed.append((path, sides.pop(), kept, where))
    if len({side for _, side, _, _ in placed}) < 2 or 2 * len(strays) > len(pictures):
        return None

    if targets:
        by_split: dict[str, list[Pair]] = defaultdict(list)
        for path in (path for path, side, _, _ in placed if side == targets):
            by_split[split_of(path.relative_to(folder))].append(Pair(key_of(path, folder), None, Side(path)))
        where = next(where for _, side, _, where in placed if side == targets)
        explanation = f"the pictures of side {targets} ({where}) are targets; inputs are made from them (--make-input)"
        return Pairs.of("targets of folders of both sides", explanation, by_split, others)

    def by_name(name: Callable[[str], str]) -> Found:
        found = Found(ignored=[*strays, *ignored, *others])
        for path, side, kept, _ in placed:
            key = unicodedata.normalize("NFC", "/".join((*kept, name(path.stem))))
            found.add(split_of(path.relative_to(folder)), side, key, path)
        return found

    exact, shortened = by_name(str), by_name(bare)
    found = exact if exact.matches() >= shortened.matches() else shortened
    examples: dict[str, str] = {}
    for _, side, _, where in sorted(placed, key=lambda item: split_of(item[0].relative_to(folder)) != "train"):
        examples.setdefault(side, where)
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
    return f"; not used, since {why}: {few(strays)}"


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
    a, b = a_then_b(*sorted(common))
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
    sizes = dict(zip(pictures, in_parallel("sizes", pictures, size_of)[0], strict=True))
    known = [path for path, size in sizes.items() if size is not None]
    strays = [path for path in known if (size := sizes[path]) and size[0] != 2 * size[1]]
    if len(strays) == len(known) or not _few(strays, pictures):
        return None
    left_out = set(strays)
    pairs = _side_by_side(folder, [path for path in pictures if path not in left_out], [*strays, *others])
    explanation = pairs.explanation + _left_out(strays, "it is not twice as wide as high")
    return replace(pairs, explanation=explanation)


def _side_by_side(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Pairs:
    splits: dict[str, list[Pair]] = defaultdict(list)
    problems = []
    for path, size in zip(pictures, in_parallel("sizes", pictures, size_of)[0], strict=True):
        width = size[0] if size else 0
        if width % 2:
            problems.append(f"{path}: {width} pixels wide, an odd number: it does not hold two pictures of equal size")
            continue
        pair = Pair(key_of(path, folder), Side(path, "left"), Side(path, "right"))
        splits[split_of(path.relative_to(folder))].append(pair)
    explanation = "both sides in one picture: A is the left half and the input, B the right one (--direction BtoA)"
    return Pairs.of("side by side", explanation, splits, others, problems)


def _pairs_or_targets(folder: Path, layout: str) -> Pairs:
    try:
        return find_pairs(folder, layout, made=layout == "pictures")
    except NoPairs:
        every = find_pairs(folder, made=True)
        explanation = f"no pairs were recognised, so training needs --make-input: {every.explanation}"
        return replace(every, explanation=explanation)


def recognize(folder: Path, reading: Reading = _AS_FOUND) -> Layout | None:
    """What ``advtasks data check`` tells about a folder; None if it holds no pictures."""
    from advtasks_pix2pix.reading import survey

    try:
        pairs = _pairs_or_targets(folder, reading.layout)
    except NoPairs:
        return None
    except DataError as error:
        return Layout(name="unreadable", explanation="training stops", roles={}, problems=(str(error),))
    explanation, problems = pairs.explanation, list(pairs.problems)
    for side, kind in (("input", reading.input_kind), ("target", reading.target_kind)):
        found = [one for pair in pairs.every() if (one := getattr(pair, side)) is not None]
        try:
            if found:
                pixels = survey(found, kind, folder, reading.classes, ignored=reading.ignore_label)
                explanation += f"; {'AB'[side == 'target']}: {pixels.described}"
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
