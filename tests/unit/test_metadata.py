"""What files say of their pixels stays true in what is written of them."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from advtasks.pictures.animation import Animation, read_frames
from advtasks.pictures.decode import from_pillow, read_picture
from advtasks.pictures.encode import encode_frames, write_picture
from advtasks.pictures.picture import Metadata, Picture

COPYRIGHT, SOFTWARE, DATE = 0x8298, 0x0131, 0x0132
ADOBE = imagecodecs.cms_profile("adobergb")
GREY = imagecodecs.cms_profile("gray", gamma=1.8)


def rgb(value: int = 100, metadata: Metadata | None = None) -> Picture:
    return Picture(np.full((6, 5, 3), value, np.uint8), None, metadata or Metadata())


@pytest.mark.parametrize("tagged", [0, 1])
def test_each_page_of_a_tiff_has_its_own_profile_and_density(tmp_path: Path, tagged: int) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as file:
        for page in range(2):
            told = {"iccprofile": ADOBE, "resolution": (300, 300), "resolutionunit": "INCH"}
            file.write(np.zeros((6, 5, 3), np.uint8), photometric="rgb", **(told if page == tagged else {}))
    frames = list(read_frames(path))
    assert [frame.metadata.icc for frame in frames] == [ADOBE if page == tagged else None for page in range(2)]
    assert [frame.metadata.dpi for frame in frames] == [(300, 300) if page == tagged else None for page in range(2)]
    encode_frames(tmp_path / "again.tif", frames, Animation((0, 0), None))
    again = list(read_frames(tmp_path / "again.tif"))
    assert [frame.metadata.icc for frame in again] == [frame.metadata.icc for frame in frames]
    assert [frame.metadata.dpi for frame in again] == [frame.metadata.dpi for frame in frames]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_texts_beyond_ascii_keep_their_bytes(tmp_path: Path, suffix: str, encoding: str) -> None:
    text = "© Jürg".encode(encoding)
    exif = Image.Exif()
    exif[COPYRIGHT], exif[SOFTWARE] = text, text
    exif.get_ifd(0x8769)[0xA002] = 5  # so that the size in it is set anew
    Image.new("RGB", (5, 6)).save(tmp_path / "given.jpg", exif=exif)
    write_picture(tmp_path / f"out{suffix}", read_picture(tmp_path / "given.jpg"))
    with Image.open(tmp_path / f"out{suffix}") as image:
        kept = image.getexif()
        assert [kept[tag].encode("latin-1") for tag in (COPYRIGHT, SOFTWARE)] == [text, text]


@pytest.mark.parametrize("date", ["2019-05-01T12:00:00Z", "2019:05:01", "2019:05:01 12:00:00"])
def test_a_date_of_any_form_is_kept_in_a_tiff(tmp_path: Path, date: str) -> None:
    exif = Image.Exif()
    exif[DATE] = date
    write_picture(tmp_path / "out.tif", rgb(metadata=Metadata(exif=exif.tobytes())))
    with Image.open(tmp_path / "out.tif") as image:
        assert image.getexif()[DATE] == date


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_of_a_profile_is_converted_where_a_format_knows_no_grey(tmp_path: Path, suffix: str, alpha: bool) -> None:
    opacity = np.full((6, 5), 200, np.uint8) if alpha else None
    path = tmp_path / f"grey{suffix}"
    write_picture(path, Picture(np.full((6, 5, 1), 128, np.uint8), opacity, Metadata(icc=GREY)))
    found = read_picture(path)
    linear = (128 / 255) ** 1.8
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert found.metadata.icc is None
    assert found.pixels.shape == (6, 5, 3)
    assert np.abs(found.pixels - expected).max() < 3
    assert alpha == (found.alpha is not None)


def test_a_grey_profile_does_not_say_what_the_frames_of_an_animation_are(tmp_path: Path) -> None:
    from advtasks.inference.frames import convert_frames

    frames = [Image.new("L", (5, 6), value) for value in (60, 128)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=50, icc_profile=GREY)
    convert_frames(tmp_path / "a.png", tmp_path / "b.png", lambda frame, size: frame, lambda *size: size, print)
    found = [frame for frame in read_frames(tmp_path / "b.png")]
    assert [frame.metadata.icc for frame in found] == [None, None]
    assert [int(frame.pixels[0, 0, 0]) for frame in found] == [
        round(255 * (1.055 * (value / 255) ** (1.8 / 2.4) - 0.055)) for value in (60, 128)
    ]


@pytest.mark.parametrize("mode", ["PA", "RGBa", "La"])
def test_opacity_of_every_mode_of_pillow_is_kept(mode: str) -> None:
    image = {
        "PA": Image.new("P", (4, 4)).convert("PA"),
        "RGBa": Image.new("RGBA", (4, 4), (200, 100, 50, 128)).convert("RGBa"),
        "La": Image.new("LA", (4, 4), (200, 128)).convert("La"),
    }[mode]
    found = from_pillow(image)
    assert found.alpha is not None
    assert found.alpha[0, 0] == (255 if mode == "PA" else 128)
    assert mode == "PA" or abs(int(found.pixels[0, 0, 0]) - 200) <= 1
