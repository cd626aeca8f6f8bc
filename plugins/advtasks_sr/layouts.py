"""Which folders of pictures super-resolution understands. Imports no torch.

- any folder of pictures, sub-folders included: high-resolution pictures; their low-resolution side is made
- ``hr/`` and ``lr/`` (or ``HR``/``LR``, ``GT``/``LQ``; ``lr_x4``, ``lr/X4``): pairs of equal name, or ``NAMEx4``; also
  archives and columns of a data set of such names
- DIV2K as unpacked: ``DIV2K_train_HR``, ``DIV2K_valid_HR``, ``DIV2K_train_LR_bicubic/X4`` and so on
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from advtasks.data.folder import Found, ambiguous, find_pictures, key_of
from advtasks.data.layout import Layout
from advtasks.errors import DataError

_HIGH = {"hr", "gt", "high", "high_resolution"}
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


def find_sources(folder: Path, scale: int) -> Sources:
    """What a folder holds, for training at `scale`.

    Raises:
        DataError: it does not exist, or holds no pictures.
    """
    found = find_pictures(folder)
    if not found.pictures:
        raise DataError(found.none_in(folder))
    children = {child.name: child for child in sorted(folder.iterdir()) if child.is_dir()}
    for path in found.pictures:  # an archive, or a column of a data set
        first, *deeper = path.relative_to(folder).parts
        if deeper:
            children.setdefault(first.removesuffix(".tar"), folder / first)
    if "DIV2K_train_HR" in children:
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
    return Sources("pictures", tuple(map(Source, found.pictures)), (), found.others, ())


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
    return Sources("DIV2K", splits["train"], splits["valid"], every.others, problems)


def _pair(
    high: Sequence[Path], low: Sequence[Path], scale: int, high_folder: Path, low_folder: Path
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Partners by name within their folders; those without one, and pairs of the wrong size, are problems."""
    from advtasks.pictures.decode import picture_size

    pairs, problems = [], []
    by_name: dict[str, Path] = {}
    for path in low:
        other = by_name.setdefault(_key(path, low_folder, scale), path)
        if other != path:
            problems.append(ambiguous(path, other))
    for path in high:
        partner = by_name.pop(_key(path, high_folder, scale), None)
        if partner is None:
            problems.append(f"{path}: no low-resolution partner of that name in {low_folder}")
            continue
        try:
            large, small = picture_size(path), picture_size(partner)
        except DataError:
            pairs.append(Source(path, partner))  # unreadable ones are named when they are decoded
            continue
        if (large[0] // scale, large[1] // scale) != small:
            problems.append(
                f"{path} is {large[0]}x{large[1]} and its partner {partner} {small[0]}x{small[1]}: not a pair "
                f"at scale {scale}"
            )
            continue
        pairs.append(Source(path, partner))
    problems += [f"{path}: no high-resolution partner of that name in {high_folder}" for path in by_name.values()]
    return tuple(pairs), tuple(problems)


def _key(path: Path, folder: Path, scale: int) -> str:
    """The name that partners share: relative path without suffix and without a trailing ``x4``."""
    return re.sub(rf"[_-]?x{scale}$", "", key_of(path, folder))


def recognize(folder: Path) -> Layout | None:
    """What ``advtasks data check`` tells about a folder; None if it holds no pictures."""
    try:
        best = min((find_sources(folder, scale) for scale in (4, 2, 3, 8)), key=lambda s: len(s.problems))
    except DataError:
        return None
    explanation = {
        "pictures": "every picture is a high-resolution one; its low-resolution side is made by bicubic downscaling",
        "hr + lr pairs": "pairs of high- and low-resolution pictures, matched by name",
        "DIV2K": "DIV2K as unpacked; its own validation pictures are used",
    }[best.name]
    return Layout(
        name=best.name,
        explanation=explanation,
        roles={name: files for name, files in _roles(best) if files},
        ignored=best.ignored,
        problems=best.problems,
    )


def _roles(sources: Sources) -> Iterable[tuple[str, tuple[Path, ...]]]:
    for split, items in (("training", sources.train), ("validation", sources.validation)):
        yield f"{split}, high resolution", tuple(item.high for item in items)
        yield f"{split}, low resolution", tuple(item.low for item in items if item.low is not None)
