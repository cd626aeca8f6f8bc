"""Pictures with other profiles than sRGB: converted for the network, and back."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import ImageCms

from advtasks.bundle import Manifest
from advtasks.inference.engine import ImageModel
from advtasks.pictures.color import ColorSpace
from advtasks.pictures.picture import Metadata, Picture

D65 = [0.3127, 0.3290, 1.0]
DISPLAY_P3 = imagecodecs.cms_profile(
    "rgb", whitepoint=D65, primaries=[0.680, 0.320, 1, 0.265, 0.690, 1, 0.150, 0.060, 1], gamma=2.2
)
GREY = imagecodecs.cms_profile("gray", gamma=1.5, whitepoint=D65)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_what_needs_no_conversion_is_left_alone() -> None:
    assert ColorSpace(None, 3).plain
    assert ColorSpace(SRGB, 3).plain
    assert not ColorSpace(DISPLAY_P3, 3).plain
    assert not ColorSpace(GREY, 1).plain


@pytest.mark.parametrize(("icc", "channels"), [(b"junk", 3), (GREY, 3), (SRGB, 1)])
def test_a_profile_that_does_not_fit_is_kept_and_said(icc: bytes, channels: int) -> None:
    space = ColorSpace(icc, channels)
    assert space.plain
    assert space.problem


@pytest.mark.parametrize(("icc", "channels"), [(DISPLAY_P3, 3), (GREY, 1), (imagecodecs.cms_profile("adobergb"), 3)])
def test_there_and_back_is_the_identity_outside_of_the_gamut_too(icc: bytes, channels: int) -> None:
    values = np.random.default_rng(0).random((40, 50, channels)).astype(np.float32)
    values[0, :3] = np.eye(3)[:, :channels]
    space = ColorSpace(icc, channels)
    srgb = space.to_srgb(values)
    assert srgb.shape == (40, 50, 3)
    assert np.abs(space.from_srgb(srgb) - values).max() < 1e-3
    if channels == 3:
        assert srgb.min() < 0, "colours that sRGB does not hold are not cut off"


def test_conversion_is_that_of_another_house() -> None:
    """Pillow's own binding of Little CMS, at 8 bit."""
    import io

    from PIL import Image

    pixels = np.random.default_rng(0).integers(60, 190, (20, 30, 3), dtype=np.uint8)
    expected = ImageCms.profileToProfile(
        Image.fromarray(pixels), ImageCms.ImageCmsProfile(io.BytesIO(DISPLAY_P3)), ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
    )  # fmt: skip
    found = ColorSpace(DISPLAY_P3, 3).to_srgb(pixels.astype(np.float32) / 255) * 255
    assert np.abs(found.clip(0, 255) - np.asarray(expected, dtype=np.float32)).max() <= 1.5


class Seen(torch.nn.Module):
    """The identity, or the doubled picture; remembers what it was shown."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale, self.lowest, self.highest = scale, 0.0, 1.0
        self.first: torch.Tensor | None = None

    def forward(self, tile: torch.Tensor) -> torch.Tensor:
        if self.first is None:
            self.first = tile.clone()
        self.lowest, self.highest = min(self.lowest, tile.min().item()), max(self.highest, tile.max().item())
        return (
            torch.nn.functional.interpolate(tile, scale_factor=self.scale, mode="bilinear") if self.scale > 1 else tile
        )


def model(scale: int) -> ImageModel:
    manifest = Manifest(
        task="", verb="upscale", plugin="", plugin_version="", advtasks_version="", generator="", hyper_parameters={},
        channels=3, scale=scale, receptive_radius=2, multiple_of=1,
    )  # fmt: skip
    return ImageModel(Seen(scale), manifest)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("icc", "channels"), [(DISPLAY_P3, 3), (GREY, 1)])
def test_an_identity_network_gives_a_picture_with_a_profile_back(icc: bytes, channels: int, deep: bool) -> None:
    top = 65535 if deep else 255
    pixels = np.random.default_rng(0).integers(0, top + 1, (30, 40, channels)).astype(np.uint16 if deep else np.uint8)
    pixels[0, 0] = top
    pixels[0, 1:3] = 0
    pixels[0, 1, 0] = top  # pure red of a wide gamut
    identity = model(1)
    output = identity(Picture(pixels, None, Metadata(icc=icc)))
    assert output.metadata.icc == icc
    assert np.abs(output.pixels.astype(int) - pixels).max() <= top // 255
    assert identity.network.lowest >= 0
    assert identity.network.highest <= 1, "a network is never shown values that it was not trained on"


def test_the_network_is_shown_srgb() -> None:
    pixels = np.full((8, 8, 3), 128, np.uint8)
    pixels[..., 0] = 200
    enlarge = model(2)
    output = enlarge(Picture(pixels, None, Metadata(icc=DISPLAY_P3)))
    shown = enlarge.network.first[0, :, 4, 4].numpy()
    expected = ColorSpace(DISPLAY_P3, 3).to_srgb(pixels.astype(np.float32)[:1, :1] / 255)[0, 0]
    assert shown == pytest.approx(expected, abs=1e-4)
    assert shown[0] > 200 / 255 + 0.02, "the same red is a larger number in the smaller gamut"
    assert np.abs(output.pixels.astype(int) - [200, 128, 128]).max() <= 1
