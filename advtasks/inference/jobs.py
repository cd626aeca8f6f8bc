"""What a batch has to do: which pictures, and where their results go."""

from __future__ import annotations

import glob
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from advtasks.data.folder import EXTENSIONS, find_pictures
from advtasks.errors import UsageError
from advtasks.pictures.formats import FORMATS

VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"})
_ADDED = re.compile(rf"_(?:{'|'.join(sorted(suffix[1:] for suffix in EXTENSIONS | VIDEOS))})(?:_\d+)?$")
"""What :meth:`Job.result` adds to a name."""
_NUMBER = re.compile(r"-\d+$")
"""Of a result among several."""
_NOT_WRITTEN = {".bmp"}
"""Only where the input is one: it holds neither profile nor opacity."""


@dataclass(frozen=True)
class Job:
    """One picture, and where its output goes without the suffix."""

    source: Path
    target: Path
    namesakes: int = 0
    """Other sources of the batch whose target is the same."""
    number: int = 0
    """Of those with the source's own suffix, how many come before."""

    @property
    def is_video(self) -> bool:
        """By its suffix."""
        return self.source.suffix.lower() in VIDEOS

    def result(self, suffix: str) -> Path:
        """The file that is written, in a format. ``a.gif`` and ``a.png`` may both want to be ``a_x4.png``: the one that
        keeps its format has that name, the other one has its own suffix in its name. That depends on the names of the
        batch only, not on their order, so running again finds the same, whatever failed."""
        own = self.source.suffix[1:].lower()
        plain = not self.namesakes or (f".{own}" == suffix and not self.number)
        more = "" if plain else f"_{own}" + (f"_{self.number}" if self.number else "")
        return self.target.with_name(self.target.name + more + suffix)


def plan(inputs: Sequence[str | Path], out: Path, label: str, listed: TextIO | None = None) -> list[Job]:
    """Files as they are, folders with their sub-folders kept, patterns with what they match, ``-`` for a list with a
    path on each line of `listed`; outputs are named ``NAME_label``. A file that is named twice is done once, and the
    result of one that is named is no input itself.

    Raises:
        UsageError: an input does not exist, or nothing was found.
    """
    return plans(inputs, out, [label], listed)[0]


def plans(
    inputs: Sequence[str | Path],
    out: Path,
    labels: Sequence[str],
    listed: TextIO | None = None,
    passed: Counter[str] | None = None,
) -> list[list[Job]]:
    """A plan for each of several results of every picture, by the labels of their names; see :func:`plan`.

    Args:
        passed: counts the files of folders that are no input, by their suffixes.

    Raises:
        UsageError: an input does not exist, or nothing was found.
    """
    lines = listed.read() if listed is not None and "-" in map(str, inputs) else ""  # a stream is read once
    every = []
    for label in labels:
        jobs: dict[Path, Job] = {}
        others: set[Path] = set()
        for given in inputs:
            for job in _jobs(str(given), out, label, None if listed is None else io.StringIO(lines), others):
                jobs.setdefault(_whole(job.source), job)
        every.append(list(jobs.values()))
    if passed is not None:
        passed.update(path.suffix.lower() for path in others)
    if not any(every):
        raise UsageError(f"no pictures in {', '.join(map(str, inputs))}")
    numbers = re.compile(rf"(?<=_)({'|'.join(re.escape(_NUMBER.sub('', label)) for label in labels)})-\d+$")
    targets = {_plain(job.target, numbers): _whole(job.source) for jobs in every for job in jobs}
    return [_named(_without_results(jobs, targets, numbers)) for jobs in every]


def _without_results(jobs: list[Job], targets: dict[Path, Path], numbers: re.Pattern[str]) -> list[Job]:
    """Without what running the same command before has written, where results lie among the sources; of several
    results of one picture another run may have had more."""

    def is_result(job: Job) -> bool:
        path = job.source.with_suffix("")
        plain = path.with_name(_ADDED.sub("", path.name))
        own = _whole(job.source)
        return any(targets.get(_plain(name, numbers), own) != own for name in (path, plain))

    return [job for job in jobs if not is_result(job)]


def _whole(path: Path) -> Path:
    """Absolute and without ``..``, links as they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


def _plain(target: Path, numbers: re.Pattern[str]) -> Path:
    return _whole(target).with_name(numbers.sub(r"\1", target.name))


def _named(jobs: list[Job]) -> list[Job]:
    every = Counter(job.target for job in jobs)
    seen: Counter[tuple[Path, str]] = Counter()
    numbers = {}
    for job in sorted(jobs, key=lambda job: _whole(job.source)):  # `find` lists files in any order
        key = (job.target, job.source.suffix.lower())
        numbers[job] = seen[key]
        seen[key] += 1
    return [replace(job, namesakes=every[job.target] - 1, number=numbers[job]) for job in jobs]


def _jobs(given: str, out: Path, label: str, listed: TextIO | None, others: set[Path]) -> Iterator[Job]:
    path = Path(given)
    if given == "-" and listed is not None:
        lines = (line.rstrip("\r\n") for line in listed)
        for line in filter(None, lines):
            yield _job(Path(line), out, label)
    elif path.is_dir():
        yield from _below(path, out, label, others)
    elif path.is_file():
        yield _job(path, out, label)
    elif matches := sorted(map(Path, glob.glob(given, recursive=True))):  # noqa: PTH207 - may be absolute
        for match in matches:
            if match.is_dir():
                yield from _below(match, out, label, others)
            elif match.suffix.lower() in VIDEOS | EXTENSIONS:
                yield _job(match, out, label)
    else:
        raise UsageError(f"{given}: no such file or folder, and nothing matches it as a pattern")


def _below(folder: Path, out: Path, label: str, others: set[Path]) -> Iterator[Job]:
    """The pictures of a folder, but for those of the folder of results where that lies within it; what else it holds
    goes into `others`."""
    found = find_pictures(folder, inside=False)
    results, whole = out.resolve(), folder.resolve()
    within = None if results == whole or results in whole.parents else results
    for source in sorted((*found.pictures, *found.others)):
        if within is not None and within in source.resolve().parents:
            continue
        if source.suffix.lower() in EXTENSIONS | VIDEOS:
            yield Job(source, out / source.relative_to(folder).with_name(f"{source.stem}_{label}"))
        else:
            others.add(source)


def _job(path: Path, out: Path, label: str) -> Job:
    return Job(path, out / f"{path.stem}_{label}")


def known_format(name: str) -> str:
    """The suffix that a format's name stands for.

    Raises:
        UsageError: none is.
    """
    suffix = "." + name.lower().removeprefix(".")
    known = sorted(FORMATS.keys() - _NOT_WRITTEN)
    if suffix not in known:
        raise UsageError(f"unknown format {name!r}: known: {', '.join(s[1:] for s in known)}")
    return suffix
