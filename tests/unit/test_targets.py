"""Training patches without a low-resolution side."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from advtasks_sr.layouts import Source
from advtasks_sr.lows import LowSide
from advtasks_sr.patches import SYMMETRIES, Pair
from advtasks_sr.presets import QUICK
from advtasks_sr.reading import Reader
from advtasks_sr.sharpen import sharpened
from advtasks_sr.targets import TargetCut, Targets
from advtasks_sr.task import SuperResolution
from conftest import natural
from PIL import Image

from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.data.resize import downscale_rgb8
from advtasks.data.streamed import PassingOver
from advtasks.draws import SeededDraws


def variants(picture: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(picture, times) for times in range(4)]
    return [*turned, *(one[:, ::-1] for one in turned)]


def test_a_patch_is_a_piece_of_the_picture_in_one_of_eight_ways() -> None:
    picture = natural(60, 50, 1)
    patch = TargetCut(24, (1.0, 1.0), 0.0)(picture, np.random.default_rng(0))["high"].numpy()
    windows = np.lib.stride_tricks.sliding_window_view(picture, (24, 24), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    assert any((windows == one).all((2, 3, 4)).any() for one in variants(patch))


def test_the_eight_ways_are_those_of_albumentations() -> None:
    from albumentations.augmentations.geometric.functional import d4
    from albumentations.core.type_definitions import d4_group_elements

    picture = natural(5, 7, 3)
    assert len(SYMMETRIES) == len(d4_group_elements)
    for symmetry, name in zip(SYMMETRIES, d4_group_elements, strict=True):
        assert np.array_equal(symmetry(picture), d4(picture, name)), name


def test_a_shrunken_patch_is_pillows_and_shrinks_less_where_it_would_not_fit() -> None:
    picture = natural(48, 48, 2)
    expected = np.asarray(Image.fromarray(picture).resize((24, 24), Image.Resampling.BICUBIC)).astype(int)
    for factor in (0.5, 0.1):
        cut = TargetCut(24, (factor, factor), 0.0)
        patch = cut(picture, np.random.default_rng(3))["high"].numpy()
        assert patch.shape == (24, 24, 3)
        assert min(np.abs(one - expected).max() for one in variants(patch)) <= 1


def test_patches_are_functions_of_the_position_and_streaming_gives_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs, sources = [], []
    for number in range(3):
        picture = natural(65, 74, number)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        sources.append(Source(tmp_path / f"{number}.png"))
        pairs.append(Pair(str(number), str(number), picture[:72, :64], None))
    cut = TargetCut(40, (0.6, 1.0), 0.5)
    load = Reader(LowSide(4), PictureCache(limit_gib=0)).target
    kept, streamed = Targets(pairs, cut), Targets(sources, cut, load)
    found = [kept[Position(sample % 3, sample, 7)]["high"] for sample in range(12)]
    assert all((streamed[Position(sample % 3, sample, 7)]["high"] == found[sample]).all() for sample in range(12))
    assert not (found[0] == found[3]).all()
    Image.fromarray(natural(30, 60, 5)).save(tmp_path / "small.png")
    streamed = PassingOver(Targets([Source(tmp_path / "small.png"), *sources], cut, load))
    with caplog.at_level(logging.WARNING):
        assert streamed[Position(0, 0, 7)]["high"].shape == (40, 40, 3)
    assert "small.png: smaller than a patch of 40x40 pixels with its margin" in caplog.text


def test_bicubic_of_a_patch_with_margin_is_that_of_the_whole_picture() -> None:
    picture = natural(96, 80, 4)
    whole = downscale_rgb8(picture, 4)
    low_side = LowSide(4)
    region = torch.from_numpy(picture[16:64, 20:68].copy()).permute(2, 0, 1)[None].float() / 255
    low = low_side.of_batch(region, SeededDraws(0)) * 255
    inner = slice(low_side.margin, -low_side.margin)
    found = low[0, :, inner, inner].permute(1, 2, 0).numpy()
    difference = np.abs(found - whole[4:16, 5:17][inner, inner])
    assert difference.max() < 1.01, "a rounding here and there"
    assert (difference > 0.5).mean() < 0.01


def test_loss_terms_see_the_sharpened_target_and_the_critic_the_plain_one() -> None:
    pixels = torch.from_numpy(natural(64, 64, 6))[None]
    batch = {"high": pixels, "low": torch.from_numpy(downscale_rgb8(pixels[0].numpy(), 4))[None]}
    tasks = [SuperResolution(dataclasses.replace(QUICK, sharpen_target=sharpen)) for sharpen in (False, True)]
    plain, sharp = (task.prepare(batch) for task in tasks)
    assert set(plain) == {"low", "high"}
    assert torch.equal(sharp["target"], sharpened(plain["high"]))
    assert torch.equal(sharp["low"], plain["low"])
    output = torch.rand(1, 3, 64, 64)
    assert torch.equal(tasks[1].judged(sharp, output)["image"].real, plain["high"])
    found = tasks[1].objective(sharp, output, {"l1": 1.0})["l1"].value
    assert torch.equal(found, torch.nn.functional.l1_loss(output, sharp["target"]))
