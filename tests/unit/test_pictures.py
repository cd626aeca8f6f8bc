"""Decoding and encoding: every kind of picture comes in, and comes out as what it was."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from advtasks.data.folder import find_pictures
from advtasks.errors import DataError
from advtasks.inference.engine import ImageModel
from advtasks.pictures.decode import picture_size, read_kind, read_picture
from advtasks.pictures.encode import output_suffix, write_picture
from advtasks.pictures.picture import Metadata, Picture

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def kinds(folder: Path) -> dict[str, Path]:
    """One file of each kind."""
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    paths = {
        "rgb.png": save(folder / "rgb.png", Image.fromarray(RGB)),
        "rgb.jpg": save(folder / "rgb.jpg", Image.fromarray(RGB), quality=100),
        "rgb.webp": save(folder / "rgb.webp", Image.fromarray(RGB), lossless=True),
        "rgb.bmp": save(folder / "rgb.bmp", Image.fromarray(RGB)),
        "rgb.tiff": save(folder / "rgb.tiff", Image.fromarray(RGB)),
        "rgb.avif": save(folder / "rgb.avif", Image.fromarray(RGB)),
        "grey.png": save(folder / "grey.png", Image.fromarray(RGB[..., 0])),
        "bit.png": save(folder / "bit.png", Image.fromarray(RGB[..., 0] > 127)),
        "palette.png": save(folder / "palette.png", Image.fromarray(RGB).quantize(64)),
        "rgba.png": save(folder / "rgba.png", rgba),
        "greyalpha.png": save(folder / "greyalpha.png", rgba.convert("LA")),
        "cmyk.jpg": save(folder / "cmyk.jpg", Image.fromarray(RGB).convert("CMYK")),
        "grey16.png": save(folder / "grey16.png", Image.fromarray(DEEP[..., 0])),
    }
    for name in ("rgb16.png", "rgb16.tiff"):
        cv2.imwrite(str(folder / name), DEEP[..., ::-1])
        paths[name] = folder / name
    return paths


def test_every_kind_can_be_trained_on_and_is_given_back_by_an_identity_model(
    identity: ImageModel, tmp_path: Path
) -> None:
    for name, path in kinds(tmp_path).items():
        picture = read_picture(path)
        assert picture.rgb8().shape == (20, 30, 3), name
        assert read_kind(path) == picture.kind, name
        output = identity.apply(picture)
        assert output.pixels.dtype == picture.pixels.dtype, name
        assert output.pixels.shape == picture.pixels.shape, name
        visible = np.ones((20, 30, 1), bool) if picture.alpha is None else picture.alpha[..., None] > 0
        difference = np.abs(output.pixels.astype(int) - picture.pixels.astype(int)) * visible
        assert difference.max() <= 1, name
        assert (output.alpha is None) == (picture.alpha is None), name
        target = tmp_path / f"out-{name}"
        target = target.with_suffix(output_suffix(path.suffix, picture.kind))
        write_picture(target, output)
        again = read_picture(target)
        assert again.pixels.shape == picture.pixels.shape, name
        assert again.pixels.dtype == picture.pixels.dtype, name
        if path.suffix in (".png", ".tiff", ".bmp"):
            assert np.array_equal(again.pixels, output.pixels), name


def test_every_kind_is_read_out_of_an_archive(tmp_path: Path) -> None:
    made = kinds(tmp_path)
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "all.tar", "w") as archive:
        for name, path in made.items():
            archive.add(path, name)
    found = find_pictures(tmp_path / "shards").pictures
    assert {path.name for path in found} == set(made)
    for path in found:
        one, other = read_picture(path), read_picture(made[path.name])
        assert np.array_equal(one.pixels, other.pixels), path.name
        assert one.kind == other.kind, path.name


def test_sixteen_bit_values_survive(tmp_path: Path) -> None:
    picture = read_picture(kinds(tmp_path)["rgb16.png"])
    assert np.array_equal(picture.pixels, DEEP)
    assert np.abs(picture.rgb8().astype(float) - DEEP / 257).max() <= 0.5


def test_orientation_is_applied_once_and_profile_and_exif_are_carried(identity: ImageModel, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a caption"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = save(tmp_path / "a.jpg", Image.fromarray(RGB), exif=exif, icc_profile=profile, quality=95)
    assert picture_size(source) == (20, 30)
    picture = read_picture(source)
    assert picture.size == (20, 30)
    write_picture(tmp_path / "b.jpg", identity.apply(picture))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.size == (20, 30)
        assert 0x0112 not in image.getexif()
        assert image.getexif()[0x010E] == "a caption"
        assert image.info["icc_profile"] == profile


def test_transparent_colour_does_not_bleed(identity: ImageModel, tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :4] = (255, 0, 0, 128)
    pixels[:, 4:] = (0, 255, 0, 0)  # invisible green
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(pixels)))
    output = identity.apply(picture)
    assert np.abs(output.pixels[:, :4].astype(int) - [255, 0, 0]).max() <= 1
    assert np.abs(output.alpha.astype(int) - picture.alpha).max() <= 1


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG")
    (tmp_path / "short.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.png").touch()
    for name, reason in (("short.jpg", "truncated"), ("text.jpg", "not a picture"), ("empty.png", "empty")):
        with pytest.raises(DataError, match=f"{name}.*(?i:{reason})"):
            read_picture(tmp_path / name)


def test_formats_that_cannot_hold_a_picture_become_png(tmp_path: Path) -> None:
    found = kinds(tmp_path)
    for suffix, name, size, expected in (
        (".jpg", "rgba.png", (9, 9), ".png"),
        (".webp", "rgb16.png", (9, 9), ".png"),
        (".gif", "rgb.png", (9, 9), ".png"),
        (".webp", "rgb.png", (16400, 9), ".png"),
        (".JPG", "rgb.png", (9, 9), ".jpg"),
    ):
        assert output_suffix(suffix, read_picture(found[name]).kind.resized(*size)) == expected


def test_sixteen_bit_pictures_are_turned_and_keep_profile_and_exif(identity: ImageModel, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a caption"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = Picture(DEEP, None, Metadata(icc=profile, exif=exif.tobytes()))
    write_picture(tmp_path / "turned.png", plain)
    picture = read_picture(tmp_path / "turned.png")
    assert picture.size == (20, 30)
    assert np.array_equal(picture.pixels, np.rot90(DEEP, -1))
    assert picture.metadata.icc == profile
    write_picture(tmp_path / "again.png", identity.apply(picture))
    again = read_picture(tmp_path / "again.png")
    assert again.size == (20, 30)
    assert again.metadata == picture.metadata
    assert np.array_equal(again.pixels, picture.pixels)


def test_a_decompression_bomb_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    Image.new("1", (2000, 1500)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"bomb.png: above 2 megapixels, which would fill the memory: cut it up"):
        read_picture(tmp_path / "bomb.png")


def test_unreadable_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", exif=b"Exif\0\0II*\0\0")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert read_picture(tmp_path / "a.jpg").size == (30, 20)
    assert picture_size(tmp_path / "a.jpg") == (30, 20)
