"""Which folders of pictures super-resolution understands. Imports no torch.

- any folder of pictures, sub-folders included: high-resolution pictures; their low-resolution side is made
- ``hr/`` and ``lr/`` (or ``HR``/``LR``, ``GT``/``LQ``; ``lr_x4``, ``lr/X4``): pairs of equal name, or ``NAMEx4``; also
  archives and columns of a data set of such names
- ``train/`` and ``val/`` (or ``test/``): each of them one of these
- DIV2K as unpacked: ``DIV2K_train_HR``, ``DIV2K_valid_HR``, ``DIV2K_train_LR_bicubic/X4`` and so on
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from advtasks.data.folder import Found, ambiguous, find_pictures, key_of
from advtasks.data.layout import Layout
from advtasks.data.parallel import in_parallel
from advtasks.data.splits import own_splits, split_named
from advtasks.errors import DataError

_HIGH = {"hr", "gt", "high", "high_resolution"}
_LOW_HOME = re.compile(r"(?:.+[_-])?(?:lr|lq|low_?resolution)(?:[_-]?(?:bicubic|x?\d))*|low", re.IGNORECASE)
"""Names of folders, with what they are of: ``train_LR_bicubic_x4``."""
_LOOKED_AT = 8
"""Pictures of equal names whose sizes are compared."""
_DIV2K = {"DIV2K_train_HR", "DIV2K_valid_HR"}
_LOW = re.compile(r"(?:lr|lq|low|low_resolution)(?:[_-]?x?(\d))?", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A high-resolution picture and its low-resolution partner, if the folder has one."""

    high: Path
    low: Path | None = None


@dataclass(frozen=True)
class Sources:
    """The pictures of a folder, split as the folder splits them."""

    name: str
    train: tuple[Source, ...]
    validation: tuple[Source, ...]
    ignored: tuple[Path, ...]
    problems: tuple[str, ...]
    divided: bool = False
    """By the folder itself."""


def find_sources(folder: Path, scale: int) -> Sources:
    """What a folder holds, for training at `scale`.

    Raises:
        DataError: it does not exist, holds no pictures, or two resolutions of them in folders that are not understood.
    """
    found = find_pictures(folder)
    if not found.pictures:
        raise DataError(found.none_in(folder))
    return _understood(folder, found, scale)


def _understood(folder: Path, found: Found, scale: int) -> Sources:
    splits = own_splits(folder, found.pictures)
    return _of_folder(folder, found, scale) if splits is None else _divided(folder, found, splits, scale)


def _divided(folder: Path, every: Found, splits: Mapping[str, Sequence[Path]], scale: int) -> Sources:
    """Of folders such as ``train`` and ``val``, each of them as a folder by itself."""
    lows = _lows_beside(folder, every)

    def understood(split: str) -> list[Sources]:
        homes: dict[Path, list[Path]] = {}
        for path in splits[split]:
            if path not in lows:
                first = folder / path.relative_to(folder).parts[0]
                homes.setdefault(first if split_named(first.name) else folder, []).append(path)
        for home, found in list(homes.items()):
            if split != "train" and all(_is_low(path, home) for path in found):  # nobody is given the high resolution
                lows.update(homes.pop(home))
        return [_of_folder(home, Found(tuple(found), ()), scale) for home, found in homes.items()]

    train, validation = understood("train"), understood("validation")
    unused = splits["test"] if validation else ()
    validation = validation or understood("test")
    ignored = tuple(path for part in (*train, *validation) for path in part.ignored)
    problems = tuple(problem for part in (*train, *validation) for problem in part.problems)
    every_ignored = (*every.others, *ignored, *sorted(lows), *unused)
    return Sources(train[0].name, _all(train), _all(validation), every_ignored, problems, divided=True)


def _all(parts: Sequence[Sources]) -> tuple[Source, ...]:
    return tuple(source for part in parts for source in (*part.train, *part.validation))


def _lows_beside(folder: Path, every: Found) -> set[Path]:
    """The low resolutions beside folders of splits, where no high resolution lies there."""
    firsts = {path: path.relative_to(folder).parts[0].removesuffix(".tar") for path in every.pictures}
    if any(first.lower() in _HIGH or first in _DIV2K for first in firsts.values()):
        return set()
    return {path for path, first in firsts.items() if _LOW_HOME.fullmatch(first)}


def _is_low(path: Path, folder: Path) -> bool:
    """Whether a picture below `folder` lies in a folder of low resolutions."""
    return any(_LOW_HOME.fullmatch(home.removesuffix(".tar")) for home in path.relative_to(folder).parts[:-1])


def _children(folder: Path, found: Found) -> dict[str, Path]:
    """The folders in a folder, and the archives and columns of data sets, by their names."""
    children = {child.name: child for child in sorted(folder.iterdir()) if child.is_dir()} if folder.is_dir() else {}
    for path in found.pictures:
        first, *deeper = path.relative_to(folder).parts
        if deeper:
            children.setdefault(first.removesuffix(".tar"), folder / first)
    return children


def _of_folder(folder: Path, found: Found, scale: int) -> Sources:
    children = _children(folder, found)
    if children.keys() & _DIV2K:
        return _div2k(children, scale, found)
    high = next((children[name] for name in children if name.lower() in _HIGH), None)
    low = _low_folder(children, scale)
    if high is not None and low is not None:
        pairs, problems = _pair(_below(found, high), _below(found, low), scale, high, low)
        return Sources("hr + lr pairs", pairs, (), found.others, problems)
    if high is not None:  # low-resolution pictures of another scale must not become targets
        targets = _below(found, high)
        used = set(targets)
        rest = tuple(path for path in (*found.pictures, *found.others) if path not in used)
        return Sources("pictures", tuple(map(Source, targets)), (), rest, ())
    _refuse_resolutions(folder, found.pictures)
    return Sources("pictures", tuple(map(Source, found.pictures)), (), found.others, ())


def _refuse_resolutions(folder: Path, pictures: Sequence[Path]) -> None:
    """Low resolutions must not become targets, wherever they lie.

    Raises:
        DataError: a folder is called low resolution, and holds smaller versions of pictures elsewhere.
    """
    lows: dict[str, list[Path]] = {}
    others: dict[str, list[Path]] = {}
    for path in pictures:
        side = lows if _is_low(path, folder) else others
        side.setdefault(re.sub(r"[_-]?x\d$", "", path.stem), []).append(path)
    for name in sorted(lows.keys() & others.keys())[:_LOOKED_AT]:
        for high, low in itertools.product(others[name][:_LOOKED_AT], lows[name][:_LOOKED_AT]):
            if any(not _size_problem(high, low, scale) for scale in (2, 3, 4, 8)):
                raise DataError(
                    f"{low} is the low resolution of {high}, and they lie where pairs are not looked for: give --data "
                    "a folder that holds them as hr and lr, or the high resolution alone; if they are something else, "
                    "rename the folder"
                )


def _low_folder(children: dict[str, Path], scale: int) -> Path | None:
    """The folder of low-resolution pictures for `scale`: ``lr_x4`` before ``lr/X4`` before ``lr``."""
    named = {}
    for name, path in children.items():
        match = _LOW.fullmatch(name)
        if match:
            named[match.group(1)] = path
    if str(scale) in named:
        return named[str(scale)]
    plain = named.get(None)
    if plain is not None:
        for inner in (f"X{scale}", f"x{scale}"):
            if (plain / inner).is_dir():
                return plain / inner
    return plain


def _below(found: Found, place: Path) -> tuple[Path, ...]:
    """The pictures in a folder or an archive."""
    return tuple(path for path in found.pictures if path.is_relative_to(place))


def _div2k(children: dict[str, Path], scale: int, every: Found) -> Sources:
    splits: dict[str, tuple[Source, ...]] = {}
    problems: tuple[str, ...] = ()
    for split in ("train", "valid"):
        high = children.get(f"DIV2K_{split}_HR")
        if high is None:
            splits[split] = ()
            continue
        low_parent = children.get(f"DIV2K_{split}_LR_bicubic")
        low = low_parent / f"X{scale}" if low_parent and (low_parent / f"X{scale}").is_dir() else None
        if low is None:
            splits[split] = tuple(map(Source, _below(every, high)))
        else:
            splits[split], found = _pair(_below(every, high), _below(every, low), scale, high, low)
            problems += found
    if "DIV2K_train_HR" not in children:  # the validation pictures alone
        return Sources("DIV2K", splits["valid"], (), every.others, problems)
    return Sources("DIV2K", splits["train"], splits["valid"], every.others, problems)


def _pair(
    high: Sequence[Path], low: Sequence[Path], scale: int, high_folder: Path, low_folder: Path
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Partners by name within their folders; those without one, and pairs of the wrong size, are problems."""
    problems = []
    by_name: dict[str, Path] = {}
    for path in low:
        other = by_name.setdefault(_key(path, low_folder, scale), path)
        if other != path:
            problems.append(ambiguous(path, other))
    pairs = []
    for path in high:
        partner = by_name.pop(_key(path, high_folder, scale), None)
        if partner is None:
            problems.append(f"{path}: no low-resolution partner of that name in {low_folder}")
        else:
            pairs.append((path, partner))
    unreadable = ""  # is named when it is decoded
    sized, _ = in_parallel("sizes", pairs, lambda pair: _size_problem(*pair, scale, unreadable))
    problems += [problem for problem in sized if problem]
    problems += [f"{path}: no high-resolution partner of that name in {high_folder}" for path in by_name.values()]
    fitting = (Source(*pair) for pair, problem in zip(pairs, sized, strict=True) if not problem)
    return tuple(fitting), tuple(problems)


def _size_problem(high: Path, low: Path, scale: int, unreadable: str = "cannot be read") -> str:
    """Why two files are no pair."""
    from advtasks.pictures.decode import picture_size

    try:
        large, small = picture_size(high), picture_size(low)
    except DataError:
        return unreadable
    if (large[0] // scale, large[1] // scale) == small:
        return ""
    return f"{high} is {large[0]}x{large[1]} and its partner {low} {small[0]}x{small[1]}: not a pair at scale {scale}"


def _key(path: Path, folder: Path, scale: int) -> str:
    """The name that partners share: relative path without suffix and without a trailing ``x4``."""
    return re.sub(rf"[_-]?x{scale}$", "", key_of(path, folder))


def recognize(folder: Path) -> Layout | None:
    """What ``advtasks data check`` tells about a folder; None if it holds no pictures.

    Raises:
        DataError: there is no such folder, or two resolutions in folders that are not understood.
    """
    found = find_pictures(folder)
    if not found.pictures:
        return None
    best = min((_understood(folder, found, scale) for scale in (4, 2, 3, 8)), key=lambda s: len(s.problems))
    explanation = {
        "pictures": "pictures in high resolution; the low-resolution side is made by bicubic downscaling",
        "hr + lr pairs": "pairs of high- and low-resolution pictures, matched by name",
        "DIV2K": "DIV2K as unpacked" + "; its own validation pictures are used" * bool(best.validation),
    }[best.name]
    return Layout(
        name=best.name,
        explanation=explanation + "; split as its folders say" * best.divided,
        roles={name: files for name, files in _roles(best) if files},
        ignored=best.ignored,
        problems=best.problems,
    )


def _roles(sources: Sources) -> Iterable[tuple[str, tuple[Path, ...]]]:
    for split, items in (("training", sources.train), ("validation", sources.validation)):
        yield f"{split}, high resolution", tuple(item.high for item in items)
        yield f"{split}, low resolution", tuple(item.low for item in items if item.low is not None)
