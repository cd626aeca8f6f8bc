"""The body of the commands for pictures: from options to results, summary and exit code."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from advtasks.atomic import write_text
from advtasks.causes import said
from advtasks.errors import AdvtasksError
from advtasks.finite import finite
from advtasks.inference.jobs import known_format, plans
from advtasks.inference.once import once
from advtasks.inference.options import PictureOptions
from advtasks.inference.sizes import OutputSize

Variant: TypeAlias = tuple[Callable[..., Any], OutputSize]
"""Makes a model, and the size and name of its outputs."""


def run_command(options: PictureOptions, make_model: Callable[..., Any], size: OutputSize, *more: Variant) -> int:
    """Do what the options say; gives the exit code.

    Args:
        make_model: given device, tile, and the options of an image model by name, makes the
            :class:`~advtasks.inference.engine.ImageModel`.
        size: of the outputs, and what they are called.
        more: the same for more results of each picture, which go into the same summary and report.

    Raises:
        AdvtasksError: nothing could be begun.
    """
    options.check()
    suffix = None if options.format is None else known_format(options.format)
    variants = ((make_model, size), *more)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names of files are not always UTF-8
    passed: Counter[str] = Counter()
    planned = plans(options.pictures, options.out, [size.label for _, size in variants], sys.stdin, passed)

    from advtasks.allocator import keep_freed_memory
    from advtasks.inference.batch import run
    from advtasks.inference.console import BatchConsole
    from advtasks.inference.prediction import predicted
    from advtasks.inference.results import Summary

    keep_freed_memory()
    _lift_pillows_limit()
    if not options.dry_run:
        _check_writable(options.out, "--out")
    if options.report is not None:
        _check_writable(options.report.parent, "--report")
    console, start, summary = BatchConsole(sum(map(len, planned))), time.monotonic(), Summary()
    say, model, interrupted = once(console.say), None, False
    if passed:
        say(_passed_over(passed))
    try:
        for (make, named), jobs in zip(variants, planned, strict=True):
            model, settings = _model(options, make, say), _settings(options, suffix, named)
            if options.dry_run:
                summary.add(predicted(jobs, model, settings, console.say))
                continue
            with console:
                run(jobs, model, settings, finished=console.finished, watch=console.watch, summary=summary)
            if summary.stopped:
                break
    except KeyboardInterrupt:
        if options.dry_run or model is None:
            raise
        interrupted, summary.stopped = True, "interrupted"
    if not options.dry_run:
        console.summary(summary, time.monotonic() - start)
    if options.report is not None:
        report = finite(_report(options, model, summary, time.monotonic() - start))
        write_text(options.report, json.dumps(report, indent=2))
    return 130 if interrupted else summary.exit_code


def _model(options: PictureOptions, make: Callable[..., Any], say: Callable[[str], None]) -> Any:
    from advtasks.devices import choose_device

    return make(
        choose_device(options.device),
        options.tile,
        precision=options.precision,
        max_memory=options.memory_limit(),
        ensemble=options.ensemble,
        compile=options.compile,
        say=say,
    )


def _settings(options: PictureOptions, suffix: str | None, size: OutputSize) -> Any:
    from advtasks.inference.batch import Settings

    return Settings(
        size=size,
        suffix=suffix,
        quality=options.quality,
        overwrite=options.overwrite,
        strip_metadata=options.strip_metadata,
        jobs=options.jobs,
        limit=int(options.max_megapixels * 1e6),
    )


def _passed_over(others: Counter[str]) -> str:
    """What of the folders is no input."""
    kinds = [f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common(5)]
    more = f" and {len(others) - 5} more kinds" if len(others) > 5 else ""
    return f"passed over, since they are neither pictures nor videos that are read here: {', '.join(kinds)}{more}"


def _lift_pillows_limit() -> None:
    """Our own limit is checked before anything is decoded, can be raised, and names the way out."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None


def _check_writable(folder: Path, option: str) -> None:
    """Before the first picture is computed.

    Raises:
        AdvtasksError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise AdvtasksError(
            f"{folder}: results cannot be written there ({said(error)}); give another {option}"
        ) from None


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
