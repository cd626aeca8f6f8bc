"""Many files through one model: what to read, what to write, and one bad file never stops the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from advtasks.data.folder import find_pictures
from advtasks.data.picture import read_picture
from advtasks.errors import AdvtasksError, DataError, UsageError
from advtasks.inference.engine import ImageModel
from advtasks.inference.image_io import output_suffix, write_picture


@dataclass(frozen=True)
class Job:
    """One picture, and where its output goes without the suffix."""

    source: Path
    target: Path


@dataclass
class Summary:
    """What a batch did."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


def plan(inputs: Sequence[Path], out: Path, label: str) -> list[Job]:
    """Files as they are, folders with their sub-folders kept; outputs are named ``NAME_label``.

    Raises:
        UsageError: an input does not exist, nothing was found, or two inputs would have the same output.
    """
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            found = [path for path in find_pictures(given).pictures if out.resolve() not in path.resolve().parents]
            jobs += [Job(path, out / path.relative_to(given).with_name(f"{path.stem}_{label}")) for path in found]
        elif given.is_file():
            jobs.append(Job(given, out / f"{given.stem}_{label}"))
        else:
            raise UsageError(f"{given}: no such file or folder")
    if not jobs:
        raise UsageError(f"no pictures in {', '.join(map(str, inputs))}")
    targets: dict[Path, Path] = {}
    for job in jobs:
        key = job.target.with_name(job.target.name + job.source.suffix.lower())
        if key in targets:
            raise UsageError(f"{targets[key]} and {job.source} would both become {key}: give one of them another -o")
        targets[key] = job.source
    return jobs


def process(job: Job, model: ImageModel, summary: Summary, *, overwrite: bool) -> str:
    """Do one job and say what became of it; errors are recorded, not raised."""
    try:
        for existing in job.target.parent.glob(f"{job.target.name}.*") if not overwrite else ():
            if existing.stem == job.target.name and existing.suffix in (job.source.suffix.lower(), ".png"):
                summary.skipped.append(job.source)
                return f"{job.source}: exists as {existing}, skipped (--overwrite replaces it)"
        picture = read_picture(job.source)
        output = model.apply(picture)
        suffix = output_suffix(job.source.suffix, picture)
        target = job.target.with_name(job.target.name + suffix)
        write_picture(target, output)
    except DataError as error:
        summary.failed.append((job.source, str(error)))
        return f"failed   {error}"
    except (AdvtasksError, OSError, RuntimeError, MemoryError) as error:
        summary.failed.append((job.source, str(error)))
        return f"failed   {job.source}: {error}"
    summary.written.append(target)
    return f"{job.source} -> {target}  {output.size[0]}x{output.size[1]}"
