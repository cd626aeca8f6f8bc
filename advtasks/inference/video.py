"""Videos frame by frame, with sound, subtitles and timing kept (PyAV, which brings FFmpeg's libraries)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from advtasks.atomic import atomic_path
from advtasks.errors import DataError
from advtasks.inference.frames import Convert
from advtasks.pictures.picture import Picture

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_CODECS = {"webm": ("libvpx-vp9", {"crf": "20", "b": "0"})}
_USUAL = ("libx264", {"crf": "16", "preset": "medium"})
_BT601, _BT709 = 6, 1
_SAYS_NOTHING = (0, 2)
"""Colour matrices of a stream that is stored as RGB, or does not say."""
_HIGH_DEFINITION = 720
"""Rows from which on players take BT.709 for a stream that does not say."""


@dataclass(frozen=True)
class _Colors:
    """How the values of a stream are meant (ITU-T H.273), and how many bits they have."""

    matrix: int
    full_range: bool
    primaries: int
    transfer: int
    deep: bool

    @classmethod
    def of(cls, frame: Any) -> _Colors:
        matrix = int(frame.colorspace)
        if matrix in _SAYS_NOTHING:  # the result may be so large that players would guess another one
            matrix = _BT709 if frame.height >= _HIGH_DEFINITION else _BT601
        deep = frame.format.components[0].bits > 8
        return cls(matrix, int(frame.color_range) == 2, int(frame.color_primaries), int(frame.color_trc), deep)


def convert_video(
    source: Path,
    target: Path,
    convert: Convert,
    size: Callable[[int, int], tuple[int, int]],
    watch: Callable[[int, int], None],
) -> tuple[int, int, int]:
    """Pass every frame of a video through `convert`; gives width, height and number of frames of the result.

    Each frame keeps its own time stamp, so variable frame rates stay what they are; other streams are copied packet by
    packet. Colours stay what they are: matrix, range, primaries, transfer and the shape of pixels are those of the
    source, and 10 bit stay 10 bit where the codec has them (not in WebM). The frames of the file that was written are
    counted, and must be as many as those read.

    Args:
        convert: takes a frame and the size wanted.
        size: the wanted width and height for a frame's; made even, as the codec wants it.

    Raises:
        DataError: PyAV is missing, the video cannot be decoded, or frames got lost.
    """
    try:
        import av
    except ImportError:
        raise DataError(f"{source}: videos need PyAV: pip install 'advtasks[video]'") from None
    container = _FORMATS[target.suffix.lower()]
    try:
        with atomic_path(target) as temporary:
            with av.open(str(source)) as read, av.open(str(temporary), "w", format=container) as written:
                if not read.streams.video:
                    raise DataError(f"{source}: holds no video")
                count, width, height = _copy(read, written, container, convert, size, watch)
            found = count_frames(temporary)
            if found != count:
                raise DataError(f"{source}: {count} frames were read, but {found} are in the result; nothing was kept")
    except av.error.FFmpegError as error:
        raise DataError(f"{source}: cannot be converted ({error})") from error
    return width, height, count


def count_frames(path: Path) -> int:
    """Frames of a video, counted by decoding it."""
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _copy(
    read: Any,
    written: Any,
    container: str,
    convert: Convert,
    size: Callable[[int, int], tuple[int, int]],
    watch: Callable[[int, int], None],
) -> tuple[int, int, int]:
    video = read.streams.video[0]
    video.thread_type = "AUTO"
    others = {stream.index: stream for stream in read.streams if stream.type in ("audio", "subtitle")}
    copies = {index: written.add_stream_from_template(stream) for index, stream in others.items()}
    output: Any = None
    colors: _Colors | None = None
    count, width, height = 0, 0, 0
    waiting: list[Any] = []  # the file's header, which has all streams, is written with the first packet
    for packet in read.demux([video, *others.values()]):
        if packet.stream.index in copies:
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                waiting.append(packet)
            if output is not None:
                written.mux(waiting)
                waiting = []
            continue
        for frame in packet.decode():
            colors = colors or _Colors.of(frame)
            frame.colorspace = colors.matrix
            pixels = frame.to_ndarray(format="rgb48le" if colors.deep else "rgb24")
            upright = Picture(np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90)))
            wanted = tuple(side + side % 2 for side in size(*upright.size))
            if output is None:
                width, height = wanted
                output = _stream(written, container, video, width, height, colors)
                aspect = video.sample_aspect_ratio
                if aspect:
                    output.codec_context.sample_aspect_ratio = 1 / aspect if frame.rotation % 180 else aspect
            pixels = convert(upright, (width, height)).colors()
            count += 1
            watch(count, max(video.frames, count))
            written.mux(_encoded(output, pixels, frame, colors))
    if output is None:
        raise DataError(f"{read.name}: holds no frame that can be decoded")
    written.mux([*waiting, *output.encode(None)])
    return count, width, height


def _stream(written: Any, container: str, video: Any, width: int, height: int, colors: _Colors) -> Any:
    codec, options = _CODECS.get(container, _USUAL)
    stream = written.add_stream(codec, rate=video.average_rate or 25, options=options)
    known = {format_.name for format_ in stream.codec_context.codec.video_formats or ()}
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv420p10le" if colors.deep and "yuv420p10le" in known else "yuv420p"
    context = stream.codec_context
    context.time_base = video.time_base
    context.colorspace, context.color_range = colors.matrix, 1 + colors.full_range
    context.color_primaries, context.color_trc = colors.primaries, colors.transfer
    return stream


def _encoded(stream: Any, pixels: np.ndarray, like: Any, colors: _Colors) -> Iterator[Any]:
    """A frame's packets; it is shown when the frame `like` was."""
    import av

    given = av.VideoFrame.from_ndarray(pixels, format="rgb48le" if pixels.dtype == np.uint16 else "rgb24")
    # swscale has a number of its own for BT.601
    matrix = 5 if colors.matrix == _BT601 else colors.matrix
    frame = given.reformat(format=stream.pix_fmt, dst_colorspace=matrix, dst_color_range=1 + colors.full_range)
    frame.pts, frame.time_base = like.pts, like.time_base
    return stream.encode(frame)
