"""Bicubic resizing against stored references of MATLAB's algorithm (make_imresize_reference.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from advtasks.data.resize import Downscaled, bicubic_downscale, bicubic_upscale, downscale_rgb8

REFERENCE = np.load(Path(__file__).with_name("imresize_reference.npz"))


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float64)).permute(2, 0, 1)[None]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-3), (torch.float32, 1e-3)])
def test_downscaling_is_matlab_within_a_thousandth_of_a_level(scale: int, dtype: torch.dtype, limit: float) -> None:
    ours = bicubic_downscale(tensor(REFERENCE["picture"]).to(dtype), scale).double()
    assert (ours - tensor(REFERENCE[f"down{scale}"])).abs().max().item() <= limit


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_upscaling_is_matlab_within_a_thousandth_of_a_level(scale: int) -> None:
    ours = bicubic_upscale(tensor(REFERENCE["picture"][:16, :12]), scale)
    assert (ours - tensor(REFERENCE[f"up{scale}"])).abs().max().item() <= 1e-3


def test_bytes_are_rounded_not_truncated() -> None:
    expected = np.rint(REFERENCE["down4"]).clip(0, 255)
    assert np.abs(downscale_rgb8(REFERENCE["picture"], 4) - expected).max() <= 1  # a tie may fall either way
    assert (downscale_rgb8(REFERENCE["picture"], 4) == expected).mean() > 0.999


def test_sides_that_do_not_fit_are_refused_and_bytes_are_cropped() -> None:
    with pytest.raises(ValueError, match="multiples of the scale 4"):
        bicubic_downscale(torch.zeros(1, 3, 9, 8), 4)
    assert downscale_rgb8(np.zeros((9, 11, 3), np.uint8), 4).shape == (2, 2, 3)


def test_pictures_smaller_than_the_kernel_are_mirrored_as_often_as_needed() -> None:
    constant = bicubic_downscale(torch.full((1, 3, 8, 8), 0.25, dtype=torch.float64), 8)
    torch.testing.assert_close(constant, torch.full((1, 3, 1, 1), 0.25, dtype=torch.float64))


@pytest.mark.parametrize(("height", "width", "scale"), [(103, 61, 4), (47, 90, 3), (24, 24, 2)])
def test_bands_and_windows_are_those_of_the_whole_picture(
    height: int, width: int, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cut = torch.from_numpy(picture[: height - height % scale, : width - width % scale].copy()).permute(2, 0, 1)[None]
    whole = bicubic_downscale(cut.double(), scale).round().clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).numpy()
    for pixels in (1, 1000, 2**21):
        monkeypatch.setattr("advtasks.data.resize._BAND", pixels)
        assert np.array_equal(downscale_rgb8(picture, scale), whole)
    low = Downscaled(picture, scale)
    assert low.shape == whole.shape
    for top, left, side in ((0, 0, 5), (3, 2, 4), (low.shape[0] - 6, low.shape[1] - 6, 6)):
        window = (slice(top, top + side), slice(left, left + side))
        assert np.array_equal(low[window], whole[window])
