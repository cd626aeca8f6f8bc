"""Many files through one model. Decoding, the network and encoding overlap; one bad file never stops the rest."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from advtasks.inference.engine import ImageModel
from advtasks.inference.feed import Abandoned, Feed
from advtasks.inference.frames import convert_frames
from advtasks.inference.jobs import Job
from advtasks.inference.results import Result, Summary
from advtasks.inference.sizes import OutputSize
from advtasks.pictures.encode import encode
from advtasks.pictures.picture import Kind, Metadata, Picture

_AHEAD = 32_000_000
"""Pixels of a picture that is decoded while the one before is computed; a larger one waits until memory is free."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How results are made and written."""

    size: OutputSize
    suffix: str | None = None
    """Format of all results; by default each input's own."""
    quality: int | None = None
    """Of JPEG, WebP and AVIF."""
    overwrite: bool = False
    strip_metadata: bool = False
    jobs: int = 2
    """Pictures that are decoded ahead, and pictures that are encoded, beside the one that is computed."""
    limit: int | None = None
    """Pixels of an input that are accepted."""

    def kept(self, metadata: Metadata) -> Metadata:
        """What of a file's metadata is written."""
        return Metadata(icc=metadata.icc, palette=metadata.palette) if self.strip_metadata else metadata


@dataclass
class Prepared:
    """A job on its way to the network."""

    job: Job
    target: Path
    skipped: bool = False
    """Since its result exists."""
    remark: str = ""
    """What is not as it was asked for."""
    kind: Kind | None = None
    """None of a video, and of what is skipped."""
    frames: int = 1
    picture: Picture | None = None
    """Decoded, unless it is so large that it must wait for memory."""

    def left(self) -> Result:
        """Of what is skipped."""
        others = "; another input has its name, so this may be the result of that one" if self.job.namesakes else ""
        return Result(source=self.job.source, status="skipped", target=self.target, message=others)


Watch = Callable[[Job, int, int], None]
"""Told about tiles done of a picture."""


def run(
    jobs: Sequence[Job],
    model: ImageModel,
    settings: Settings,
    *,
    finished: Callable[[Result], None] = lambda result: None,
    watch: Watch = lambda job, done, of: None,
    summary: Summary | None = None,
) -> Summary:
    """Do all jobs; gives what became of them.

    Args:
        finished: called with each result, from the calling thread.
        watch: called with tiles done and tiles in all of the picture that is computed.
        summary: where results are put, for those who want them of a batch that was interrupted, too.
    """
    summary = Summary() if summary is None else summary
    encoding: deque[Future[Result]] = deque()

    def note(result: Result) -> None:
        summary.results.append(result)
        finished(result)

    def settle(most: int) -> None:
        while encoding and (len(encoding) > most or encoding[0].done()):
            result = encoding[0].result()  # an interrupt here leaves it where it is
            encoding.popleft()
            note(result)
            if result.stops:
                summary.stopped = result.message

    with (
        ThreadPoolExecutor(settings.jobs, thread_name_prefix="decode") as decoders,
        ThreadPoolExecutor(settings.jobs + 1, thread_name_prefix="encode") as encoders,
    ):
        try:
            for job, prepared in _ahead(jobs, model, settings, decoders):
                settle(settings.jobs)
                if summary.stopped:
                    break
                try:
                    task = prepared.result()
                except Exception as error:  # whatever a decoder raises, the other pictures must be done
                    note(Result.failure(job.source, error))
                    continue
                if task.skipped:
                    note(task.left())
                else:
                    encoding.append(_computed(task, model, settings, encoders, watch))
        finally:  # of a Ctrl-C, too
            settle(0)
    return summary


def _ahead(
    jobs: Sequence[Job], model: ImageModel, settings: Settings, decoders: ThreadPoolExecutor
) -> Iterator[tuple[Job, Future[Prepared]]]:
    """The jobs in order, each decoded while the one before is used."""
    waiting: deque[tuple[Job, Future[Prepared]]] = deque()
    for job in jobs:
        waiting.append((job, decoders.submit(prepare, job, model, settings)))
        while len(waiting) > settings.jobs:
            yield waiting.popleft()
    yield from waiting


def prepare(job: Job, model: ImageModel, settings: Settings, decode: bool = True) -> Prepared:
    """Where the result goes, by the name and else the header; and the picture, to `decode` one that is not large.

    Raises:
        DataError: the header cannot be read, or it promises more pixels than are accepted.
    """
    if job.is_video:
        target = job.result(".mp4" if job.source.suffix.lower() == ".avi" else job.source.suffix)
        remark = "videos keep their format" if settings.suffix else ""
        return Prepared(job, target, skipped=_exists(target, settings), remark=remark)
    usual = job.result(settings.suffix or job.source.suffix.lower())
    if _exists(usual, settings):
        return Prepared(job, usual, skipped=True)
    kind = model.kind(job.source, settings.limit)
    animation = model.animation(job.source, settings.limit)
    width, height = settings.size.of(kind.width, kind.height)
    suffix = model.suffix(
        settings.suffix or job.source.suffix, model.output_kind(kind).resized(width, height), animation
    )
    task = Prepared(job, job.result(suffix), kind=kind, frames=len(animation.durations) if animation else 1)
    if settings.suffix and suffix != settings.suffix:
        task.remark = f"{settings.suffix[1:]} cannot hold it"
    task.skipped = _exists(task.target, settings)
    if decode and not task.skipped and task.frames == 1 and kind.width * kind.height <= _AHEAD:
        task.picture = model.read(job.source, settings.limit)
    return task


def _exists(target: Path, settings: Settings) -> bool:
    return not settings.overwrite and target.exists()


def _computed(
    task: Prepared, model: ImageModel, settings: Settings, encoders: ThreadPoolExecutor, watch: Watch
) -> Future[Result]:
    """Run the network over one file and hand its rows to an encoder; errors become results."""
    start = time.monotonic()
    done: Future[Result] = Future()

    def tiles(number: int, of: int) -> None:
        watch(task.job, number, of)

    def convert(frame: Picture, size: tuple[int, int]) -> Picture:
        output = model.apply(frame, size=size)
        return replace(output, metadata=settings.kept(output.metadata))

    try:
        if task.job.is_video:
            from advtasks.inference.video import convert_video

            frames = convert_video(task.job.source, task.target, convert, settings.size.of, tiles)
            done.set_result(_done(task, start, *frames))
            return done
        if task.frames > 1:
            frames = convert_frames(
                task.job.source,
                task.target,
                convert,
                settings.size.of,
                tiles,
                limit=settings.limit,
                quality=settings.quality,
                memory=model.memory(),
            )
            done.set_result(_done(task, start, *frames))
            return done
        picture = task.picture or model.read(task.job.source, settings.limit)
        task.picture = None
        kind, metadata, blocks = model.blocks(picture, tiles, settings.size.of(*picture.size))
        metadata = settings.kept(metadata)
        feed = Feed()
        try:
            future = encoders.submit(_written, task, kind, metadata, feed, start, settings.quality, model.say)
            _pump(blocks, feed)
        except BaseException as error:  # Ctrl-C, before it was looked for
            feed.fail(error)
            raise
        return future
    except Exception as error:  # a decoder, the network: recorded, and the next one
        done.set_result(Result.failure(task.job.source, error))
        return done


def _pump(blocks: Iterator[NDArray[Any]], feed: Feed) -> None:
    """Hand on all blocks. The reader's own error is its result; ours becomes the result through it."""
    try:
        for block in blocks:
            feed.put(block)
        feed.end()
    except Abandoned:
        return
    except BaseException as error:
        feed.fail(error)
        if not isinstance(error, Exception):
            raise


def _written(
    task: Prepared,
    kind: Kind,
    metadata: Metadata,
    feed: Feed,
    start: float,
    quality: int | None,
    say: Callable[[str], None],
) -> Result:
    """Encode what comes; runs in an encoder's thread."""
    try:
        encode(task.target, kind, metadata, feed, quality, say)
    except Abandoned as error:
        return Result.failure(task.job.source, error.__cause__ or error)
    except Exception as error:  # whatever an encoder raises
        return Result.failure(task.job.source, error)
    finally:
        feed.close()
    return _done(task, start, kind.width, kind.height)


def _done(task: Prepared, start: float, width: int, height: int, frames: int = 1) -> Result:
    return Result(
        source=task.job.source,
        status="written",
        target=task.target,
        width=width,
        height=height,
        frames=frames,
        seconds=time.monotonic() - start,
        message=task.remark,
    )
