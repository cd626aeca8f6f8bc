"""What a batch has to do: which pictures, and where their results go."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from advtasks.data.folder import find_pictures
from advtasks.errors import UsageError
from advtasks.pictures.formats import FORMATS

VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"})


@dataclass(frozen=True)
class Job:
    """One picture, and where its output goes without the suffix."""

    source: Path
    target: Path

    @property
    def is_video(self) -> bool:
        """By its suffix."""
        return self.source.suffix.lower() in VIDEOS


def plan(inputs: Sequence[str | Path], out: Path, label: str, listed: TextIO | None = None) -> list[Job]:
    """Files as they are, folders with their sub-folders kept, patterns with what they match, ``-`` for a list with a
    path on each line of `listed`; outputs are named ``NAME_label``. A file that is named twice is done once.

    Raises:
        UsageError: an input does not exist, or nothing was found.
    """
    jobs: dict[Path, Job] = {}
    for given in inputs:
        for job in _jobs(str(given), out, label, listed):
            jobs.setdefault(job.source.absolute(), job)
    if not jobs:
        raise UsageError(f"no pictures in {', '.join(map(str, inputs))}")
    return list(jobs.values())


def _jobs(given: str, out: Path, label: str, listed: TextIO | None) -> Iterator[Job]:
    path = Path(given)
    if given == "-" and listed is not None:
        lines = (line.rstrip("\r\n") for line in listed)
        yield from _files((Path(line) for line in lines if line), out, label)
    elif path.is_dir():
        found = find_pictures(path, inside=False)
        videos = [other for other in found.others if other.suffix.lower() in VIDEOS]
        for source in sorted((*found.pictures, *videos)):
            if not _is_result(source, path, out, label):
                yield Job(source, out / source.relative_to(path).with_name(f"{source.stem}_{label}"))
    elif path.is_file():
        yield from _files((path,), out, label)
    elif matches := sorted(glob.glob(given, recursive=True)):  # noqa: PTH207 - may be absolute
        files = (Path(match) for match in matches)
        yield from _files((file for file in files if file.is_file()), out, label)
    else:
        raise UsageError(f"{given}: no such file or folder, and nothing matches it as a pattern")


def _files(paths: Iterable[Path], out: Path, label: str) -> Iterator[Job]:
    for path in paths:
        yield Job(path, out / f"{path.stem}_{label}")


def _is_result(path: Path, given: Path, out: Path, label: str) -> bool:
    """Whether a picture of a folder is an earlier result: `out` may lie within the folder, or be the folder."""
    if out.resolve() == given.resolve():
        return path.stem.endswith(f"_{label}")
    return out.resolve() in path.resolve().parents


class Names:
    """Results' names, each given to one picture: ``a.gif`` and ``a.png`` may both want to be ``a_x4.png``."""

    def __init__(self) -> None:
        self.taken: set[Path] = set()

    def take(self, job: Job, suffix: str) -> Path:
        """The job's result with this suffix; with the source's own in its name where the plain one is taken."""
        target = job.target.with_name(job.target.name + suffix)
        number = 0
        while target in self.taken:
            number += 1
            more = f"_{job.source.suffix[1:].lower()}" + (f"_{number}" if number > 1 else "")
            target = job.target.with_name(f"{job.target.name}{more}{suffix}")
        self.taken.add(target)
        return target


def known_format(name: str) -> str:
    """The suffix that a format's name stands for.

    Raises:
        UsageError: none is.
    """
    suffix = "." + name.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise UsageError(f"unknown format {name!r}: known: {', '.join(sorted(s[1:] for s in FORMATS))}")
    return suffix
