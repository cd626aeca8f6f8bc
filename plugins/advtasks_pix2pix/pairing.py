"""Files that belong together: sides, pairs, and what names say of them. Imports no torch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from advtasks.data.folder import ambiguous
from advtasks.data.parallel import in_parallel
from advtasks.data.splits import SPLITS
from advtasks.errors import DataError

_A = {"a", "label", "labels", "input", "inputs", "source", "src", "edges", "edge", "line", "lines", "sketch",
      "sketches", "drawing", "drawings", "cond", "condition", "conditions",
      "conditioning", "conditioningimage", "mask", "masks", "segmentation", "seg", "annotation",
      "annotations", "low"}  # fmt: skip
_B = {"b", "img", "imgs", "image", "images", "photo", "photos", "target", "targets", "output", "outputs", "gt", "real",
      "color", "colour", "flat", "filename", "file", "high"}  # fmt: skip
_PICTURE = {"img", "imgs", "image", "images", "filename", "file"}
"""Words of side B that are said of A, too."""
_UNUSED = {"inst", "instance", "instances"}
_CITYSCAPES = {"gtfine": "label", "gtcoarse": "label", "leftimg8bit": "img"}
_CITYSCAPES_FILE = re.compile(r"_(?:leftImg8bit|gt(?:Fine|Coarse)_([A-Za-z]+))$")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
ENDING = re.compile(r"[_.-]([A-Za-z]+)$")


@dataclass(frozen=True)
class Side:
    """A picture, or half of one."""

    path: Path
    half: Literal["left", "right"] | None = None

    def of(self, values: Any) -> Any:
        """Its part of the values of the file, an array (H, W, ...)."""
        middle = values.shape[1] // 2
        return values if self.half is None else values[:, :middle] if self.half == "left" else values[:, middle:]


@dataclass(frozen=True)
class Pair:
    """An input and its target; no input where that is made from the target."""

    name: str
    input: Side | None
    target: Side


@dataclass(frozen=True)
class Pairs:
    """The pairs of a folder, split as the folder splits them."""

    name: str
    explanation: str
    train: tuple[Pair, ...] = ()
    validation: tuple[Pair, ...] = ()
    test: tuple[Pair, ...] = ()
    ignored: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        explanation: str,
        splits: Mapping[str, Sequence[Pair]],
        ignored: Sequence[Path],
        problems: Sequence[str] = (),
    ) -> Pairs:
        """From lists by split."""
        train, validation, test = (tuple(splits.get(split, ())) for split in ("train", "validation", "test"))
        return cls(name, explanation, train, validation, test, tuple(ignored), tuple(problems))

    def every(self) -> tuple[Pair, ...]:
        """All pairs of all splits."""
        return self.train + self.validation + self.test


@dataclass
class Found:
    """Files by split, side and key."""

    sides: dict[tuple[str, str], dict[str, Path]] = field(default_factory=lambda: defaultdict(dict))
    ignored: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, split: str, side: str, key: str, path: Path) -> None:
        """A file of side A or B."""
        other = self.sides[split, side].setdefault(key, path)
        if other != path:
            self.problems.append(ambiguous(path, other))

    def matches(self) -> int:
        """Pairs, by their names alone."""
        splits = {split for split, _ in self.sides}
        return sum(len(self.sides[split, "A"].keys() & self.sides[split, "B"].keys()) for split in splits)

    def pairs(self, split: str) -> tuple[Pair, ...]:
        """Those of a split; what does not pair is a problem."""
        a, b = self.sides[split, "A"], self.sides[split, "B"]
        for own, others, side in ((a, b, "B"), (b, a, "A")):
            self.problems += [
                f"{own[key]}: no partner of that name on side {side}" for key in sorted(own - others.keys())
            ]
        both = sorted(a.keys() & b.keys())
        sized, _ = in_parallel("sizes", both, lambda key: size_problem(a[key], b[key]))
        self.problems += [problem for problem in sized if problem]
        fitting = [key for key, problem in zip(both, sized, strict=True) if problem is None]
        return tuple(Pair(key, Side(a[key]), Side(b[key])) for key in fitting)

    def result(self, name: str, explanation: str) -> Pairs:
        """All splits."""
        splits = {split: self.pairs(split) for split in ("train", "validation", "test")}
        return Pairs.of(name, explanation, splits, self.ignored, self.problems)


def words_of(name: str) -> list[str]:
    """``trainA``: train, a."""
    if known := _CITYSCAPES.get(name.lower()):
        return [known]
    return [word.lower() for word in _WORDS.findall(name)]


def is_spare(path: Path) -> bool:
    """A file of Cityscapes that says the same in another way."""
    match = _CITYSCAPES_FILE.search(path.stem)
    return match is not None and match[1] not in (None, "labelIds")


def split_of(relative: Path) -> str:
    """train, validation or test, by the folders of a file; train where they do not say."""
    for part in relative.parts[:-1]:
        for word in words_of(part):
            if word in SPLITS:
                return SPLITS[word]
    return "train"


def within(path: Path, folder: Path) -> Path:
    """Relative to a folder; of what a table names elsewhere, the file and the folder it is in."""
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(*path.parts[-2:])


def side_of(words: Iterable[str]) -> str | None:
    """A, B, ``unused``, or None where the words do not say or contradict each other. A letter says more than a word:
    ``images_A`` is A; and a word more than that it is a picture: ``input_image`` is A."""
    words = list(words)
    words = [word for word in words if word not in _PICTURE] if set(words) & ((_A | _B) - _PICTURE) else words
    if len(letters := {"a", "b"} & set(words)) == 1 and not _UNUSED & set(words):
        return letters.pop().upper()
    sides = {"A" if word in _A else "B" if word in _B else "unused" for word in words if word in _A | _B | _UNUSED}
    return sides.pop() if len(sides) == 1 else "unused" if "unused" in sides else None


def a_then_b(first: str, second: str) -> tuple[str, str]:
    """Two names with that of side A first; as they are where their words do not tell them apart."""
    one, other = side_of(words_of(first)), side_of(words_of(second))
    return (second, first) if one != other and (one == "B" or other == "A") else (first, second)


def side_of_folder(name: str) -> str | None:
    """The side that the name of a folder says."""
    return side_of(word for word in words_of(name) if word not in SPLITS)


def telling_depths(folders: Sequence[Sequence[str]]) -> list[bool]:
    """Which levels of folders say the side. All do where no path contradicts itself; otherwise those on which both
    sides occur: of ``photos/input`` and ``photos/target`` the second one, of ``A/set-b`` and ``B/set-b`` the first."""
    said = [[side_of_folder(part) for part in parts] for parts in folders]
    depth = max(map(len, said), default=0)
    if not any({"A", "B"} <= set(sides) for sides in said):
        return [True] * depth
    return [{"A", "B"} <= {sides[level] for sides in said if level < len(sides)} for level in range(depth)]


def bare(stem: str) -> str:
    """A name without what says its side: ``x_A``, ``x_label``; Cityscapes' endings."""
    stem = _CITYSCAPES_FILE.sub("", stem)
    match = ENDING.search(stem)
    return stem[: match.start()] if match and match[1].lower() in _A | _B else stem


def size_of(path: Path) -> tuple[int, int] | None:
    """Width and height by the header; None of what cannot be read, which is named when it is decoded."""
    from advtasks.pictures.decode import picture_size

    try:
        return picture_size(path)
    except DataError:
        return None


def size_problem(a: Path, b: Path) -> str | None:
    """Both sides must show the same, so be of one size."""
    one, other = size_of(a), size_of(b)
    if one is None or other is None or one == other:
        return None
    return f"{a} is {one[0]}x{one[1]} and its partner {b} {other[0]}x{other[1]}: not of one size"
