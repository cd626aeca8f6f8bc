"""Many files through one model: names, clashes, what is skipped and what fails."""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from advtasks.errors import DataError, UsageError
from advtasks.inference import batch
from advtasks.inference.batch import Settings, run
from advtasks.inference.engine import ImageModel
from advtasks.inference.jobs import plan
from advtasks.inference.options import PictureOptions
from advtasks.inference.results import Result, Summary
from advtasks.inference.sizes import OutputSize
from advtasks.pictures.animation import read_animation, read_frames
from advtasks.pictures.picture import Picture

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)


def done(identity: ImageModel, inputs: list[Path], out: Path, **settings: object) -> Summary:
    return run(plan(inputs, out, "x1"), identity, Settings(size=OutputSize(1), **settings))


def targets(summary: Summary) -> list[Path]:
    return [result.target for result in summary.having("written")]


def sources(summary: Summary, status: str) -> list[Path]:
    return [result.source for result in summary.having(status)]


def test_nothing_is_overwritten_whatever_its_name(identity: ImageModel, tmp_path: Path) -> None:
    source, out = tmp_path / "IMG[1]*.png", tmp_path / "out"
    Image.fromarray(PIXELS).save(source)
    (written,) = targets(done(identity, [source], out))
    written.write_bytes(b"precious")
    assert sources(done(identity, [source], out), "skipped") == [source]
    assert written.read_bytes() == b"precious"
    assert targets(done(identity, [source], out, overwrite=True)) == [written]
    assert written.read_bytes() != b"precious"


def test_pictures_of_equal_stem_each_have_their_result(identity: ImageModel, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for suffix in ("gif", "png", "webp", "tiff"):
        Image.fromarray(PIXELS).save(folder / f"a.{suffix}")
    summary = done(identity, [folder], tmp_path / "out")
    assert summary.exit_code == 0
    assert {result.source.suffix: result.target.name for result in summary.having("written")} == {
        ".gif": "a_x1_gif.png",
        ".png": "a_x1.png",
        ".webp": "a_x1.webp",
        ".tiff": "a_x1.tiff",
    }
    (folder / "a.gif").write_bytes(b"GIF89a damaged")
    again = done(identity, [folder], tmp_path / "again")
    assert {path.name for path in targets(again)} == {"a_x1.png", "a_x1.webp", "a_x1.tiff"}, "names do not depend on it"
    forced = done(identity, [folder / "a.png", folder / "a.tiff"], tmp_path / "forced", suffix=".webp")
    assert {path.name for path in targets(forced)} == {"a_x1_png.webp", "a_x1_tiff.webp"}


def test_pictures_of_equal_name_in_several_folders_each_have_their_result(identity: ImageModel, tmp_path: Path) -> None:
    sources = [tmp_path / folder / "a.png" for folder in "xy"]
    for source in sources:
        source.parent.mkdir()
        Image.fromarray(PIXELS).save(source)
    summary = done(identity, sources, tmp_path / "out")
    assert [result.target.name for result in summary.having("written")] == ["a_x1.png", "a_x1_png_1.png"]
    assert len(done(identity, sources, tmp_path / "out").having("skipped")) == 2
    other_way_round = plan(sources[::-1], tmp_path / "out", "x1")
    assert [job.result(".png").name for job in other_way_round] == ["a_x1_png_1.png", "a_x1.png"], "find sorts nothing"


@pytest.mark.parametrize("shell", [True, False])
def test_running_a_pattern_again_does_not_take_its_results_for_inputs(
    identity: ImageModel, tmp_path: Path, shell: bool
) -> None:
    for name in ("a.png", "a.gif", "a_x1_night.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)

    def run_again() -> Summary:
        return done(identity, sorted(tmp_path.glob("*.*")) if shell else [f"{tmp_path}/*.*"], tmp_path)

    assert {path.name for path in targets(run_again())} == {"a_x1.png", "a_x1_gif.png", "a_x1_night_x1.png"}
    again = run_again()
    assert (len(again.having("skipped")), again.having("written")) == (3, [])


def test_a_pattern_may_match_folders(identity: ImageModel, tmp_path: Path) -> None:
    (tmp_path / "holiday-1" / "beach").mkdir(parents=True)
    Image.fromarray(PIXELS).save(tmp_path / "holiday-1" / "beach" / "a.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    (job,) = plan([f"{tmp_path}/*"], tmp_path / "out", "x1")
    assert job.target == tmp_path / "out" / "beach" / "a_x1"


def test_what_exists_is_skipped_without_being_read(
    identity: ImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    done(identity, [tmp_path / "a.png"], tmp_path / "out")
    monkeypatch.setattr(identity, "kind", lambda *_: pytest.fail("the header was read"))
    assert len(done(identity, [tmp_path / "a.png"], tmp_path / "out").having("skipped")) == 1


def test_the_network_goes_on_while_one_encoder_works(
    identity: ImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one encoder, too: the first picture is written only once the second one is computed."""
    for name in "ab":
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")
    second = threading.Event()
    write, apply = batch.encode, identity.blocks

    def slow(path: Path, *arguments: object) -> None:
        assert path.name != "a_x1.png" or second.wait(20), "the network waits for the disk"
        write(path, *arguments)

    def seen(picture: Picture, *arguments: object) -> object:
        if identity.calls:
            second.set()
        identity.calls += 1
        return apply(picture, *arguments)

    identity.calls = 0
    monkeypatch.setattr(batch, "encode", slow)
    monkeypatch.setattr(identity, "blocks", seen)
    assert done(identity, [tmp_path], tmp_path / "out", jobs=1).exit_code == 0


def test_results_within_the_input_folder_are_not_inputs(identity: ImageModel, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for out in (tmp_path, tmp_path / "out"):
        assert [path.name for path in targets(done(identity, [tmp_path], out))] == ["a_x1.png"]
        assert [job.source.name for job in plan([tmp_path], out, "x1")] == ["a.png"], "the result is no input"
        for result in tmp_path.rglob("*_x1.png"):
            result.unlink()


def test_a_folder_below_that_of_the_results_is_done_whole(identity: ImageModel, tmp_path: Path) -> None:
    """``advtasks upscale scans -o .``"""
    (tmp_path / "scans" / "old").mkdir(parents=True)
    for name in ("a.png", "old/b.png"):
        Image.fromarray(PIXELS).save(tmp_path / "scans" / name)
    found = targets(done(identity, [tmp_path / "scans"], tmp_path))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found) == ["a_x1.png", "old/b_x1.png"]
    assert [job.source.name for job in plan([tmp_path / "scans"], tmp_path, "x1")] == ["a.png", "b.png"]


def test_whatever_an_encoder_raises_the_others_are_done(
    identity: ImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")
    write = batch.encode

    def failing(path: Path, *arguments: object) -> None:
        if path.name == "a_x1.png":
            raise ValueError("encoding error 5")
        write(path, *arguments)

    monkeypatch.setattr(batch, "encode", failing)
    summary = done(identity, [tmp_path], tmp_path / "out")
    assert [path.name for path in targets(summary)] == ["b_x1.png"]
    (failed,) = summary.having("failed")
    assert (failed.source, failed.message) == (
        tmp_path / "a.png",
        f"{tmp_path / 'a.png'}: ValueError: encoding error 5",
    )
    assert summary.exit_code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_x1.png"]


@pytest.mark.parametrize("after", [0, 2])
def test_an_encoder_that_gives_up_early_stops_neither_the_network_nor_the_batch(
    identity: ImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The rows of a large picture are more than the queue holds: nobody may wait for a reader that is gone."""
    large = np.random.default_rng(0).integers(0, 256, (400, 20, 3), dtype=np.uint8)
    Image.fromarray(large).save(tmp_path / "a.png")
    Image.fromarray(PIXELS).save(tmp_path / "b.png")
    write = batch.encode

    def failing(path: Path, kind: object, metadata: object, blocks: Iterable[np.ndarray], *more: object) -> None:
        if path.name == "a_x1.png":
            for _ in islice(blocks, after):
                pass
            raise OSError(5, "Input/output error")
        write(path, kind, metadata, blocks, *more)

    monkeypatch.setattr(batch, "encode", failing)
    identity.tile = 8
    summary = done(identity, [tmp_path], tmp_path / "out", jobs=1)
    assert [result.status for result in summary.results] == ["failed", "written"]
    assert "Input/output error" in summary.results[0].message


def test_an_error_of_the_network_leaves_no_half_written_file(tmp_path: Path, identity: ImageModel) -> None:
    class Broken(torch.nn.Module):
        calls = 0

        def forward(self, tile: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 5:
                raise RuntimeError("a bug in row 5")
            return tile

    Image.fromarray(np.zeros((90, 20, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(PIXELS).save(tmp_path / "b.png")
    summary = done(ImageModel(Broken(), identity.manifest, tile=10), [tmp_path], tmp_path / "out")
    assert {result.source.name: result.status for result in summary.results} == {"a.png": "failed", "b.png": "written"}
    assert "a bug in row 5" in summary.having("failed")[0].message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_x1.png"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_disk_stops_the_batch_and_says_how_to_go_on(
    identity: ImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    for name in "abcdef":
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")

    def full(path: Path, *arguments: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            if wrapped:
                raise DataError("a.mp4: cannot be converted") from error
            raise

    monkeypatch.setattr(batch, "encode", full)
    summary = done(identity, [tmp_path], tmp_path / "out", jobs=1)
    assert summary.exit_code == 1
    assert "disk is full" in summary.stopped
    assert len(summary.results) < 6, "the others are not tried"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded; mend that and run the same command again"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system; mend that and run the same command"),
        (
            RuntimeError("CUDA error: an illegal memory access was encountered"),
            "the device failed; run the same command",
        ),
    ],
)
def test_what_would_fail_each_file_stops_the_batch(error: Exception, text: str) -> None:
    failed = Result.failure(Path("a.png"), error)
    assert failed.stops
    assert text in failed.message
    for words in (
        "CUDA error: out of memory",
        "CUDA error: invalid configuration argument",
        "CUDNN_STATUS_NOT_SUPPORTED",
    ):
        assert not Result.failure(Path("a.png"), RuntimeError(words)).stops, "of this picture, not of all"
    assert not Result.failure(Path("a.png"), OSError(errno.EACCES, "Permission denied")).stops


def test_metadata_can_be_left_away_but_for_the_profile(identity: ImageModel, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif, icc_profile=profile, dpi=(300, 300))
    (kept,) = targets(done(identity, [tmp_path / "a.png"], tmp_path / "kept"))
    (stripped,) = targets(done(identity, [tmp_path / "a.png"], tmp_path / "stripped", strip_metadata=True))
    with Image.open(kept) as image:
        assert image.getexif()[0x010F] == "maker"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    with Image.open(stripped) as image:
        assert not image.getexif()
        assert "dpi" not in image.info
        assert image.info["icc_profile"] == profile


def test_lists_patterns_and_repeated_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "c.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    listed = io.StringIO(f"{tmp_path / 'a.png'}\n\n{tmp_path / 'none.png'}\r\n")
    jobs = plan(["-", str(tmp_path / "*.png"), tmp_path], tmp_path / "out", "x4", listed)
    assert [job.source.name for job in jobs] == ["a.png", "none.png", "c.png", "b.jpg"]


def test_a_format_for_all(identity: ImageModel, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]])).save(tmp_path / "b.png")
    found = targets(done(identity, [tmp_path], tmp_path / "out", suffix=".jpg"))
    assert [path.name for path in found] == ["a_x1.jpg", "b_x1.png"], "JPEG holds no opacity"


def test_the_quality_of_lossy_formats_can_be_chosen(identity: ImageModel, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("jpg", "webp", "avif", "png"):
        Image.fromarray(noise).save(tmp_path / f"a.{suffix}")
    usual, low = (
        {path.suffix: path.stat().st_size for path in targets(done(identity, [tmp_path], tmp_path / name, **more))}
        for name, more in (("usual", {}), ("low", {"quality": 30}))
    )
    assert usual[".png"] == low[".png"]
    for suffix in (".jpg", ".webp", ".avif"):
        assert low[suffix] < 0.7 * usual[suffix]


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(identity: ImageModel, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((200, 300), np.uint8)).save(tmp_path / "bomb.png")
    (failed,) = done(identity, [tmp_path / "bomb.png"], tmp_path / "out", limit=50_000).results
    assert failed.status == "failed"
    assert "300x200" in failed.message
    assert "--max-megapixels" in failed.message


def test_animations_keep_frames_and_timing(identity: ImageModel, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:30, :40]
    waves = np.stack([128 + 100 * np.sin(rows / 5 + k) * np.cos(columns / 7) for k in range(3)], -1).astype(np.uint8)
    frames = [Image.fromarray(np.roll(waves, 5 * number, 1)) for number in range(4)]
    more = {"save_all": True, "append_images": frames[1:]}
    frames[0].save(tmp_path / "a.gif", duration=[50, 100, 150, 200], loop=3, **more)
    frames[0].save(tmp_path / "b.webp", duration=[40, 80, 120, 160], loop=0, lossless=True, **more)
    frames[0].save(tmp_path / "c.png", duration=[70, 70, 70, 70], **more)
    frames[0].save(tmp_path / "d.tiff", **more)
    summary = done(identity, [tmp_path], tmp_path / "out")
    assert summary.exit_code == 0, [result.message for result in summary.results]
    expected = {
        "a_x1.webp": [50, 100, 150, 200], "b_x1.webp": [40, 80, 120, 160], "c_x1.png": [70] * 4, "d_x1.tiff": [0] * 4,
    }  # fmt: skip
    for name, durations in expected.items():
        timing = read_animation(tmp_path / "out" / name)
        assert timing is not None, name
        assert list(timing.durations) == durations, name
        for found, frame in zip(read_frames(tmp_path / "out" / name), frames, strict=True):
            difference = np.abs(found.pixels.astype(int) - np.asarray(frame)).mean()
            assert difference < (12 if name.startswith(("a", "b")) else 0.01), name
    with Image.open(tmp_path / "out" / "a_x1.webp") as image:
        assert image.info["loop"] == 4, "a GIF that is shown three times again is shown four times"
    assert read_animation(tmp_path / "out" / "b_x1.webp").loop == 0


def test_an_animation_that_would_fill_the_memory_is_refused(identity: ImageModel, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (100, 80), color) for color in ("red", "green", "blue", "white")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    identity.max_memory = 1
    (failed,) = done(identity, [tmp_path], tmp_path / "out").having("failed")
    assert "a.gif: 4 frames of 100x80 take" in failed.message
    assert "--size" in failed.message


def test_sizes() -> None:
    assert OutputSize.parse(4, None, None).of(10, 20) == (40, 80)
    assert OutputSize.parse(4, 3.2, None).of(10, 21) == (32, 67)
    assert OutputSize.parse(4, None, "3840x").of(1920, 1080) == (3840, 2160)
    assert OutputSize.parse(4, None, "x720").of(1920, 1080) == (1280, 720)
    assert OutputSize.parse(4, None, "100x100").of(1920, 1080) == (100, 56)
    assert [OutputSize.parse(4, *given).label for given in ((None, None), (3.2, None), (None, "90x"))] == [
        "x4",
        "x3.2",
        "90x",
    ]
    for given in ((2.0, "9x"), (0.0, None), (None, "x"), (None, "0x5"), (None, "wide")):
        with pytest.raises(UsageError):
            OutputSize.parse(4, *given)


def test_a_size_that_would_fill_the_disk_is_refused_for_the_picture(identity: ImageModel, tmp_path: Path) -> None:
    for name, side in (("small", 8), ("large", 800)):
        Image.new("L", (side, side)).save(tmp_path / f"{name}.png")
    size = OutputSize.parse(1, None, "1600x")
    summary = run(plan([tmp_path], tmp_path / "out", size.label), identity, Settings(size=size))
    assert [path.name for path in targets(summary)] == ["large_1600x.png"]
    assert "small.png: --size 1600x is 200 times" in summary.having("failed")[0].message


def test_inputs_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        plan([tmp_path / "none"], tmp_path, "x4")
    with pytest.raises(UsageError, match="no pictures in"):
        plan([tmp_path], tmp_path / "out", "x4")


def test_a_format_that_cannot_hold_a_picture_is_said(identity: ImageModel, tmp_path: Path) -> None:
    clear = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 99, np.uint8)])
    for name, pixels in (("clear", clear), ("opaque", PIXELS)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    found = done(identity, [tmp_path / "clear.png", tmp_path / "opaque.png"], tmp_path / "out", suffix=".jpg")
    lines = {result.source.stem: result.line() for result in found.having("written")}
    assert lines["clear"].endswith("(jpg cannot hold it)")
    assert "clear_x1.png" in lines["clear"]
    assert lines["opaque"].endswith(" s")


def test_a_result_that_may_be_of_a_namesake_is_told(identity: ImageModel, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.gif")
    done(identity, [tmp_path], tmp_path / "out", suffix=".png")
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (skipped,) = done(identity, [tmp_path], tmp_path / "out", suffix=".png").having("skipped")
    assert skipped.source == tmp_path / "a.png"
    assert "another input has its name, so this may be the result of that one" in skipped.line()


def test_a_file_that_is_named_in_two_ways_is_done_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert len(plan([tmp_path / "a.png", tmp_path / "sub" / ".." / "a.png"], tmp_path / "out", "x1")) == 1


@pytest.mark.parametrize("pixels", [float("inf"), float("nan"), 0.0])
def test_a_limit_is_a_number_of_pixels(pixels: float) -> None:
    options = PictureOptions(pictures=("a",), out=Path("out"), model=Path("m"), max_megapixels=pixels)
    with pytest.raises(UsageError, match="--max-megapixels must be above 0 and finite"):
        options.check()
