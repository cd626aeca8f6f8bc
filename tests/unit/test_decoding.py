"""What headers promise is what decoders give; no depth, opacity or direction is lost."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from advtasks.errors import DataError
from advtasks.pictures.animation import read_animation, read_frames
from advtasks.pictures.decode import from_pillow, read_kind, read_picture

RNG = np.random.default_rng(0)
TURNS = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: np.swapaxes(x, 0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.swapaxes(np.rot90(x, 2), 0, 1),
    8: np.rot90,
    9: lambda x: x,
}
"""The file's pixels to upright ones (EXIF 2.3, table 6)."""


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(png: bytes, name: bytes, data: bytes, before: bytes) -> bytes:
    place = png.index(before) - 4
    return png[:place] + chunk(name, data) + png[place:]


def exif_of(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif.tobytes()


KINDS = [
    *(("png", bands, deep) for bands in (1, 2, 3, 4) for deep in (False, True)),
    *(("tiff", bands, deep) for bands in (1, 3, 4) for deep in (False, True)),
    ("tiff", 2, False),
    ("webp", 3, False),
    ("jpg", 3, False),
]


@pytest.mark.parametrize("number", TURNS)
@pytest.mark.parametrize(("suffix", "bands", "deep"), KINDS)
def test_a_header_promises_what_is_decoded_whichever_way_up(
    tmp_path: Path, suffix: str, bands: int, deep: bool, number: int
) -> None:
    dtype = np.uint16 if deep else np.uint8
    pixels = RNG.integers(0, np.iinfo(dtype).max, (5, 8, bands), dtype=dtype, endpoint=True)
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(with_chunk(imagecodecs.png_encode(pixels.squeeze()), b"eXIf", exif_of(number)[6:], b"IDAT"))
    elif suffix == "tiff":
        photometric = "rgb" if bands > 2 else "minisblack"
        extra = ["unassalpha"] if bands in (2, 4) else None
        tifffile.imwrite(
            path, pixels.squeeze(), photometric=photometric, planarconfig="contig" if bands > 1 else None,
            extrasamples=extra, extratags=[(0x0112, 3, 1, number, True)], metadata=None,
        )  # fmt: skip
    else:
        Image.fromarray(pixels).save(path, lossless=True, quality=100, subsampling=0, exif=exif_of(number))
    found = read_picture(path)
    assert read_kind(path) == found.kind
    expected = TURNS[number](pixels)
    assert found.rows().shape == expected.shape
    off = np.abs(found.rows().astype(int) - expected)
    assert off.max() == 0 if suffix != "jpg" else off.mean() < 12
    kept = Image.Exif()
    kept.load(found.metadata.exif or b"")
    assert 0x0112 not in kept


@pytest.mark.parametrize("where", ["IDAT", "IEND"])
def test_a_header_is_read_without_its_pixels(tmp_path: Path, where: str) -> None:
    whole = imagecodecs.png_encode(RNG.integers(0, 256, (50, 80, 3), dtype=np.uint8))
    damaged = whole.replace(zlib_part := whole[whole.index(b"IDAT") + 30 : whole.index(b"IDAT") + 60], bytes(30))
    assert zlib_part
    (tmp_path / "a.png").write_bytes(with_chunk(damaged, b"eXIf", exif_of(6)[6:], where.encode()))
    kind = read_kind(tmp_path / "a.png")
    assert (kind.width, kind.height) == (50, 80)
    with pytest.raises(DataError, match=r"a\.png: cannot be decoded"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(("bits", "color"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_a_transparent_colour_becomes_opacity(tmp_path: Path, bits: int, color: int) -> None:
    """A PNG by hand: grey or RGB of few or many bits, one colour of which is transparent."""
    bands = 1 if color == 0 else 3
    values = RNG.integers(0, 2**bits, (6, 8, bands))
    key = values[2, 3]
    values[4, 5] = key
    rows = b""
    for row in values:
        if bits < 8:
            flat = "".join(f"{int(value):0{bits}b}" for value in row[:, 0])
            rows += b"\0" + int(flat, 2).to_bytes(len(flat) // 8)
        else:
            rows += b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes()
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, bits, color, 0, 0, 0))
        + chunk(b"tRNS", key.astype(">u2").tobytes())
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    found = read_picture(path)
    assert read_kind(path) == found.kind
    top = found.kind.top
    assert found.alpha is not None
    assert np.array_equal(found.alpha, np.where((values == key).all(2), 0, top))
    assert np.array_equal(found.pixels, np.rint(values * (top / (2**bits - 1))))


def tiff(path: Path, pixels: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, pixels, metadata=None, **options)
    return path


def test_sixteen_bit_tiffs_of_every_layout(tmp_path: Path) -> None:
    grey = RNG.integers(0, 65536, (33, 47), dtype=np.uint16)
    rgb = RNG.integers(0, 65536, (33, 47, 3), dtype=np.uint16)
    more = RNG.integers(0, 65536, (33, 47, 1), dtype=np.uint16)
    path = tmp_path / "a.tiff"
    assert np.array_equal(read_picture(tiff(path, 65535 - grey, photometric="miniswhite")).pixels[..., 0], grey)
    planes = np.moveaxis(rgb, -1, 0)
    assert np.array_equal(read_picture(tiff(path, planes, photometric="rgb", planarconfig="separate")).pixels, rgb)
    tiled = tiff(path, rgb, photometric="rgb", tile=(16, 16), compression="zlib", predictor=True)
    assert np.array_equal(read_picture(tiled).pixels, rgb)
    strips = tiff(path, rgb, photometric="rgb", rowsperstrip=5, byteorder=">")
    assert np.array_equal(read_picture(strips).pixels, rgb)
    unknown = read_picture(tiff(path, np.dstack([rgb, more]), photometric="rgb", extrasamples=["unspecified"]))
    assert unknown.alpha is None, "what the fourth value is, nobody knows"
    assert np.array_equal(unknown.pixels, rgb)
    alpha = more.clip(1000, None)
    associated = np.rint(rgb * (alpha / 65535.0)).astype(np.uint16)
    found = read_picture(tiff(path, np.dstack([associated, alpha]), photometric="rgb", extrasamples=["assocalpha"]))
    assert np.array_equal(found.alpha, alpha[..., 0])
    assert np.abs(found.pixels.astype(int) - rgb).max() <= 65535 / 1000


@pytest.mark.parametrize("dtype", [np.uint32, np.int16, np.float32])
def test_values_that_do_not_fit_are_refused_and_not_cut_off(tmp_path: Path, dtype: type) -> None:
    path = tiff(tmp_path / "a.tiff", np.full((4, 5), 7, dtype))
    for read in (read_picture, read_kind):
        with pytest.raises(DataError, match=r"a\.tiff: .*not supported; save it with 8 or 16 bit"):
            read(path)
    with pytest.raises(DataError, match="from -3 to 3 do not fit"):
        from_pillow(Image.fromarray(np.array([[-3, 3]], np.int32)))


def test_pages_keep_their_depth_and_direction(tmp_path: Path) -> None:
    pages = [RNG.integers(0, 65536, (6, 9, 3), dtype=np.uint16) for _ in range(3)]
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, photometric="rgb", metadata=None, extratags=[(0x0112, 3, 1, 6, True)])
    found = list(read_frames(path))
    assert [np.array_equal(a.pixels, np.rot90(b, -1)) for a, b in zip(found, pages, strict=True)] == [True] * 3


@pytest.mark.parametrize("suffix", ["tiff", "png"])
def test_the_limit_holds_for_every_page(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    large = [Image.new("RGB", (4, 4)), Image.new("RGB", (400, 400))]
    if suffix == "png":
        large = large[::-1]
        large[0].save(path, save_all=True, append_images=[large[0]], duration=9)
    else:
        large[0].save(path, save_all=True, append_images=large[1:])
    with pytest.raises(DataError, match="megapixels, above the limit"):
        list(read_frames(path, 1000))


def test_a_picture_for_programs_without_animation_is_no_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("white", "red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], default_image=True, duration=[70, 80])
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    animation = read_animation(tmp_path / "a.png")
    assert animation is not None
    found = list(read_frames(tmp_path / "a.png"))
    assert [tuple(frame.pixels[0, 0]) for frame in found] == [(255, 0, 0), (0, 0, 255)]
    assert len(animation.durations) == 2
