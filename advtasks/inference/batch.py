"""Many files through one model: what to read, what to write, and one bad file never stops the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from advtasks.data.folder import find_pictures
from advtasks.data.picture import read_picture
from advtasks.errors import DataError, UsageError
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
        UsageError: an input does not exist, or nothing was found.
    """
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            found = [
                path for path in find_pictures(given, inside=False).pictures if not _is_result(path, given, out, label)
            ]
            jobs += [Job(path, out / path.relative_to(given).with_name(f"{path.stem}_{label}")) for path in found]
        elif given.is_file():
            jobs.append(Job(given, out / f"{given.stem}_{label}"))
        else:
            raise UsageError(f"{given}: no such file or folder")
    if not jobs:
        raise UsageError(f"no pictures in {', '.join(map(str, inputs))}")
    return jobs


def _is_result(path: Path, given: Path, out: Path, label: str) -> bool:
    """Whether a picture of a folder is an earlier result: `out` may lie within the folder, or be the folder."""
    if out.resolve() == given.resolve():
        return path.stem.endswith(f"_{label}")
    return out.resolve() in path.resolve().parents


def process(job: Job, model: ImageModel, summary: Summary, *, overwrite: bool) -> str:
    """Do one job and say what became of it; errors are recorded, not raised."""
    try:
        picture = read_picture(job.source)
        scale = model.manifest.scale
        suffix = output_suffix(job.source.suffix, picture, (picture.size[0] * scale, picture.size[1] * scale))
        target = job.target.with_name(job.target.name + suffix)
        if target in summary.written:  # a.gif and a.png: both would be a_x4.png
            target = job.target.with_name(f"{job.target.name}_{job.source.suffix[1:].lower()}{suffix}")
        if target.exists() and not overwrite:
            summary.skipped.append(job.source)
            return f"{job.source}: exists as {target}, skipped (--overwrite replaces it)"
        output = model.apply(picture)
        write_picture(target, output)
    except DataError as error:
        summary.failed.append((job.source, str(error)))
        return f"failed   {error}"
    except Exception as error:  # whatever a decoder or encoder raises, the other pictures must be done
        summary.failed.append((job.source, str(error)))
        return f"failed   {job.source}: {type(error).__name__}: {error}"
    summary.written.append(target)
    return f"{job.source} -> {target}  {output.size[0]}x{output.size[1]}"
