"""Videos keep what their values mean."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advtasks.inference.video import convert_video
from advtasks.pictures.picture import Picture

av = pytest.importorskip("av")

BT709, BT601, FULL, LIMITED = 1, 6, 2, 1


def write(path: Path, pixels: str, matrix: int, color_range: int, height: int = 24) -> None:
    """One frame, half dark green and half light orange."""
    colors = np.zeros((height, 32, 3), np.uint16)
    colors[:, :16], colors[:, 16:] = (20 << 8, 120 << 8, 50 << 8), (250 << 8, 180 << 8, 90 << 8)
    frame = av.VideoFrame.from_ndarray(colors, format="rgb48le")
    swscale = {BT709: 1, BT601: 5}[matrix]
    frame = frame.reformat(format=pixels, dst_colorspace=swscale, dst_color_range=color_range)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, height, pixels
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = matrix, color_range, 9, 16
        context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        (frame,) = container.decode(video=0)
        context = stream.codec_context
        planes = []
        for plane, component in zip(frame.planes, frame.format.components, strict=True):
            dtype = np.uint16 if component.bits > 8 else np.uint8
            values = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width].astype(int)
            planes += [values[:, plane.width // 4], values[:, plane.width * 3 // 4]]
        return {
            "matrix": context.colorspace,
            "range": context.color_range,
            "primaries": context.color_primaries,
            "transfer": context.color_trc,
            "aspect": stream.sample_aspect_ratio,
            "format": frame.format.name,
            "planes": [float(np.median(values)) for values in planes],
        }


def twice(picture: Picture, size: tuple[int, int]) -> Picture:
    return Picture(picture.pixels.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(("matrix", "color_range"), [(BT709, LIMITED), (BT709, FULL), (BT601, LIMITED)])
def test_colours_depth_and_the_shape_of_pixels_are_kept(
    tmp_path: Path, pixels: str, matrix: int, color_range: int
) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write(source, pixels, matrix, color_range)
    convert_video(source, target, twice, lambda w, h: (2 * w, 2 * h), lambda done, of: None)
    before, after = read(source), read(target)
    assert np.allclose(before.pop("planes"), after.pop("planes"), rtol=0, atol=2 if pixels == "yuv420p" else 6)
    assert before == after


def test_a_video_that_does_not_say_is_marked_with_what_players_took_it_for(tmp_path: Path) -> None:
    """Enlarged beyond 720 rows, it would be shown with another matrix."""
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write(source, "yuv420p", BT601, LIMITED, height=480)
    with av.open(str(source)) as read_, av.open(str(tmp_path / "c.mkv"), "w") as written:
        stream = written.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 480, "yuv420p"
        for frame in read_.decode(video=0):
            written.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")))
        written.mux(stream.encode(None))
    assert read(tmp_path / "c.mkv")["matrix"] == 2, "unspecified"
    convert_video(tmp_path / "c.mkv", target, twice, lambda w, h: (2 * w, 2 * h), lambda done, of: None)
    assert read(target)["matrix"] in (5, BT601)
    assert np.allclose(read(tmp_path / "c.mkv")["planes"], read(target)["planes"], rtol=0, atol=3)
