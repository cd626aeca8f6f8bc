"""The body of the commands for pictures: from options to results, summary and exit code."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from advtasks.atomic import write_text
from advtasks.errors import AdvtasksError, DataError
from advtasks.inference.jobs import Job, known_format, plan
from advtasks.inference.options import PictureOptions
from advtasks.inference.sizes import OutputSize


def run_command(options: PictureOptions, make_model: Callable[..., Any], size: OutputSize) -> int:
    """Do what the options say; gives the exit code.

    Args:
        make_model: given device, tile, and the options of an image model by name, makes the
            :class:`~advtasks.inference.engine.ImageModel`.
        size: of the outputs.

    Raises:
        AdvtasksError: nothing could be begun.
    """
    options.check()
    suffix = None if options.format is None else known_format(options.format)
    jobs = plan(options.pictures, options.out, size.label, sys.stdin)

    from advtasks.allocator import keep_freed_memory
    from advtasks.devices import choose_device
    from advtasks.inference.batch import Settings, run
    from advtasks.inference.console import BatchConsole

    settings = Settings(
        size=size,
        suffix=suffix,
        quality=options.quality,
        overwrite=options.overwrite,
        strip_metadata=options.strip_metadata,
        jobs=options.jobs,
        limit=int(options.max_megapixels * 1e6),
    )
    keep_freed_memory()
    _lift_pillows_limit()
    if not options.dry_run:
        _check_writable(options.out)
    console = BatchConsole(len(jobs))
    model = make_model(
        choose_device(options.device),
        options.tile,
        precision=options.precision,
        max_memory=options.memory_limit(),
        ensemble=options.ensemble,
        compile=options.compile,
        say=console.say,
    )
    if options.dry_run:
        return _dry_run(jobs, model, settings)
    start = time.monotonic()
    with console:
        summary = run(jobs, model, settings, finished=console.finished, watch=console.watch)
    console.summary(summary, time.monotonic() - start)
    if options.report is not None:
        write_text(options.report, json.dumps(_report(options, model, summary, time.monotonic() - start), indent=2))
    return summary.exit_code


def _lift_pillows_limit() -> None:
    """Our own limit is checked before anything is decoded, can be raised, and names the way out."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None


def _check_writable(out: Path) -> None:
    """Before the first picture is computed.

    Raises:
        AdvtasksError: nothing can be written there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise AdvtasksError(f"{out}: results cannot be written there ({error.strerror}); give another --out") from None


def _dry_run(jobs: list[Job], model: Any, settings: Any) -> int:
    """A line for each job, and the time that all would take, from one tile that is computed now."""
    from advtasks.inference.tensors import PictureSource
    from advtasks.pictures.decode import read_kind, read_picture

    failed, work, speed = 0, 0, None
    for job in jobs:
        if job.is_video:
            print(f"{job.source}: a video; its time is not predicted")
            continue
        try:
            kind = read_kind(job.source, settings.limit)
            if speed is None:
                speed = model.seconds_a_pixel(PictureSource(read_picture(job.source, settings.limit)))
        except DataError as error:
            failed += 1
            print(f"failed   {error}", file=sys.stderr)
            continue
        tiler = model.tiler(_Promised(kind.width, kind.height), 1 + kind.alpha)
        pixels = tiler.work * (1 + kind.alpha)
        work += pixels
        width, height = settings.size.of(kind.width, kind.height)
        tiles = f"{tiler.tiles} tile" + "s" * (tiler.tiles > 1)
        sizes = f"{kind.width}x{kind.height} -> {width}x{height}"
        print(f"{job.source}: {sizes}, {tiles}, about {pixels * speed:.1f} s")
    print(f"{len(jobs) - failed} of {len(jobs)} files, about {work * (speed or 0):.0f} s in all; nothing was written")
    return 1 if failed else 0


@dataclasses.dataclass(frozen=True)
class _Promised:
    """A picture of which only the size is known."""

    width: int
    height: int

    def cut(self, top: int, bottom: int, left: int, right: int) -> Any:
        """Never asked for."""
        raise NotImplementedError


def _report(options: PictureOptions, model: Any, summary: Any, seconds: float) -> dict[str, Any]:
    from importlib.metadata import version

    checked = model.runner.checked
    return {
        "advtasks": version("advtasks"),
        "model": str(options.model),
        "sha256": model.manifest.sha256,
        "device": str(model.device),
        "precision": model.runner.precision,
        "difference_to_fp32": None if checked is None else dataclasses.asdict(checked),
        "seconds": seconds,
        "stopped": summary.stopped,
        "files": [
            {name: str(value) if isinstance(value, Path) else value for name, value in vars(result).items()}
            for result in summary.results
        ],
    }
