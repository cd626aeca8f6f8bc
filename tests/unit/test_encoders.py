"""Files that are written row by row hold what files written as a whole hold, and all that was known of the picture."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from advtasks.pictures import tiff
from advtasks.pictures.animation import Animation, read_frames
from advtasks.pictures.decode import read_picture
from advtasks.pictures.encode import encode, encode_frames, output_suffix, write_picture
from advtasks.pictures.jpeg import QUALITY
from advtasks.pictures.metadata import for_size
from advtasks.pictures.picture import Kind, Metadata, Picture

RNG = np.random.default_rng(0)


def picture(height: int, width: int, channels: int, alpha: bool, deep: bool, **metadata: object) -> Picture:
    """Smooth, with noise in its last bits."""
    rows, columns = np.mgrid[:height, :width] / 40.0
    waves = np.stack([0.5 + 0.4 * np.sin(rows + k) * np.cos(columns - k) for k in range(4)], -1)
    values = (waves + RNG.uniform(0, 0.05, waves.shape)) * (65535 if deep else 255)
    pixels = values.astype(np.uint16 if deep else np.uint8)
    opacity = np.ascontiguousarray(pixels[..., 3]) if alpha else None
    return Picture(np.ascontiguousarray(pixels[..., :channels]), opacity, Metadata(**metadata))  # type: ignore[arg-type]


def in_blocks(rows: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    parts = np.split(rows, np.cumsum(sizes))
    return [part for part in parts if len(part)]


@pytest.mark.parametrize(("channels", "alpha", "deep"), list(itertools.product((1, 3), (False, True), (False, True))))
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_lossless_formats_give_every_bit_back(
    tmp_path: Path, suffix: str, channels: int, alpha: bool, deep: bool
) -> None:
    for height, width, sizes in ((1, 1, [1]), (131, 37, [1, 63, 64]), (65, 200, [7, 50]), (200, 3, [130])):
        given = picture(height, width, channels, alpha, deep)
        if output_suffix(suffix, given.kind) != suffix:
            pytest.skip("not held by this format")
        target = tmp_path / f"a{suffix}"
        encode(target, given.kind, given.metadata, in_blocks(given.rows(), sizes))
        found = read_picture(target)
        assert found.kind == given.kind
        assert np.array_equal(found.rows(), given.rows())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "sizes"), [(1, [1]), (64, [64]), (65, [1, 2]), (300, [100, 100]), (513, [7, 500])])
def test_a_jpeg_in_strips_is_the_jpeg_of_the_whole(
    tmp_path: Path, channels: int, height: int, sizes: list[int]
) -> None:
    given = picture(height, 83, channels, False, False)
    encode(tmp_path / "strips.jpg", given.kind, given.metadata, in_blocks(given.pixels, sizes))
    whole = Image.fromarray(given.pixels[..., 0] if channels == 1 else given.pixels)
    whole.save(tmp_path / "whole.jpg", quality=QUALITY, subsampling=0)
    with Image.open(tmp_path / "strips.jpg") as found, Image.open(tmp_path / "whole.jpg") as expected:
        assert found.size == (83, height)
        assert np.array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".webp", ".avif"])
def test_everything_that_is_known_of_a_picture_is_written(tmp_path: Path, suffix: str, deep: bool) -> None:
    profile = imagecodecs.cms_profile("adobergb")
    exif = Image.Exif()
    exif[0x010E], exif[0x010F] = "a caption", "a maker"
    exif.get_ifd(0x8769).update({0x9003: "2020:01:01 00:00:00", 0xA002: 5, 0xA003: 6, 0x829A: (1, 50)})
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    exif.get_ifd(0x8825).update({0: b"\2\3\0\0", 1: "N", 2: (59.0, 55.0, 30.5), 5: b"\0", 6: 12.5})
    given = picture(70, 50, 3, False, deep, icc=profile, exif=exif.tobytes(), xmp=xmp, dpi=(300.0, 200.0))
    if output_suffix(suffix, given.kind) != suffix:
        pytest.skip("not held by this format")
    write_picture(tmp_path / f"a{suffix}", given)
    found = read_picture(tmp_path / f"a{suffix}").metadata
    assert found.icc == profile
    assert found.xmp == xmp
    if suffix not in (".webp", ".avif"):
        assert found.dpi == pytest.approx((300, 200), abs=0.01)
    read = Image.Exif()
    read.load(found.exif)
    assert (read[0x010E], read[0x010F]) == ("a caption", "a maker")
    folder = read.get_ifd(0x8769)
    assert folder[0x9003] == "2020:01:01 00:00:00"
    assert folder[0x829A] in ((1, 50), 0.02)
    assert (folder[0xA002], folder[0xA003]) == (50, 70), "the size of the picture that was written"
    place = read.get_ifd(0x8825)
    assert (place[0], place[1], place[5], float(place[6])) == (b"\2\3\0\0", "N", b"\0", 12.5)
    assert [float(part) for part in place[2]] == [59.0, 55.0, 30.5]


def test_what_does_not_fit_into_a_jpeg_is_left_out_and_said(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    profile = imagecodecs.cms_profile("adobergb") + bytes(200_000)
    for xmp, text in ((b"x" * 70_000, "XMP of 68 KiB"), (b"x" * 60_000, "")):
        said: list[str] = []
        given = picture(20, 30, 3, False, False, icc=profile, exif=exif.tobytes(), xmp=xmp)
        encode(tmp_path / "a.jpg", given.kind, given.metadata, (given.rows(),), say=said.append)
        found = read_picture(tmp_path / "a.jpg").metadata
        assert (found.icc, found.exif, found.xmp) == (profile, None, None if text else xmp)
        assert any("a.jpg: EXIF of 68 KiB does not fit" in line for line in said)
        assert any(text in line for line in said) == bool(text) or not text
        assert len(said) == 1 + bool(text)


def test_pages_are_written_as_they_come(tmp_path: Path) -> None:
    """Each page is asked for when the ones before it are in the file."""
    alive: list[int] = []

    def pages() -> Iterator[Picture]:
        for number in range(7):
            given = picture(200, 300, 3, False, True)
            weakref.finalize(given, alive.remove, number)
            alive.append(number)
            assert len(alive) <= 3, "the first, the one that is written, and this one"
            yield given

    encode_frames(tmp_path / "a.tiff", pages(), Animation((0,) * 7, None))
    assert len(list(read_frames(tmp_path / "a.tiff"))) == 7


def test_a_tiff_with_64_bit_addresses_keeps_all_but_the_exif_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "_BIG", 100)
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    given = picture(70, 50, 3, False, True, exif=exif.tobytes(), dpi=(300.0, 300.0))
    write_picture(tmp_path / "a.tiff", given)
    assert (tmp_path / "a.tiff").read_bytes()[2] == 43, "BigTIFF"
    found = read_picture(tmp_path / "a.tiff")
    assert np.array_equal(found.pixels, given.pixels)
    read = Image.Exif()
    read.load(found.metadata.exif)
    assert read[0x010F] == "a maker"


def test_orientation_is_taken_out_of_exif_and_xmp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    xmp = b'<rdf:Description xmlns:tiff="x" tiff:Orientation="8" tiff:Make="m"/>'
    Image.fromarray(picture(20, 30, 3, False, False).pixels).save(tmp_path / "a.jpg", exif=exif, xmp=xmp)
    found = read_picture(tmp_path / "a.jpg")
    assert found.size == (20, 30)
    assert found.metadata.exif is None, "nothing else was in it"
    assert found.metadata.xmp == b'<rdf:Description xmlns:tiff="x" tiff:Make="m"/>'


def test_a_size_that_exif_does_not_state_is_not_added() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    metadata = Metadata(exif=exif.tobytes())
    assert for_size(metadata, 7, 8) == metadata


def test_what_a_decoder_of_another_house_reads(tmp_path: Path) -> None:
    """OpenCV (libpng, libtiff, libjpeg-turbo) agrees with what was written."""
    import cv2

    for suffix, deep in itertools.product((".png", ".tiff"), (False, True)):
        given = picture(130, 67, 3, suffix == ".png", deep)  # OpenCV multiplies a TIFF's colour by its opacity
        write_picture(tmp_path / f"a{suffix}", given)
        found = cv2.imread(str(tmp_path / f"a{suffix}"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(found[..., [2, 1, 0, 3][: given.kind.bands]], given.rows())


@pytest.mark.parametrize(
    ("suffix", "kind", "expected"),
    [
        (".tiff", Kind(9, 9, 1, alpha=True, deep=True), ".png"),
        (".avif", Kind(9, 9, 3, deep=True), ".png"),
        (".jpg", Kind(70_000, 9), ".png"),
        (".tif", Kind(70_000, 9, deep=True), ".tif"),
        (".xyz", Kind(9, 9), ".png"),
    ],
)
def test_what_a_format_cannot_hold_goes_to_one_that_can(suffix: str, kind: Kind, expected: str) -> None:
    assert output_suffix(suffix, kind) == expected
