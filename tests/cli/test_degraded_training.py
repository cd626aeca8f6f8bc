"""Super-resolution of real-world pictures through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from advtasks_sr.degradations import degrade_rgb8, load_recipe
from advtasks_sr.presets import REALESRGAN
from PIL import Image

from advtasks.bundle import read_manifest
from advtasks.data.resize import downscale_rgb8

MINE = """
margin: 1
passes:
  - blur: {sigma: [0.5, 2.0]}
    resize: {down: 1, keep: 0, factors: [0.5, 1], modes: [area]}
    noise: {sigma: [5, 15]}
    jpeg: {quality: [40, 80]}
final: {sinc: 0.5, jpeg_last: 0.5}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A recipe that fits the tiny pictures."""
    (tmp_path / "mine.yaml").write_text(MINE)
    return tmp_path / "mine.yaml"


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = torch.load(max(run.glob("checkpoints/*.pt")), weights_only=True)
    return {name: value for name, value in state["generator"].items() if isinstance(value, torch.Tensor)}


def test_a_degraded_run_resumes_bit_for_bit_and_is_measured_the_same(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], mine: Path
) -> None:
    run = tmp_path / "run"
    flags = ("--steps", "4", *tiny, "--degradation", mine, "--sharpen-target", "--random-scale", "0.7", "1")
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", run, *flags)
    assert code == 0, err
    before, results = weights(run), json.loads((run / "results.json").read_text())
    for path in [run / "bundle.safetensors", *run.glob("checkpoints/step-00000004*")]:
        path.unlink()
    code, _, err = advtasks("train", "--resume", run)
    assert code == 0, err
    assert "going on at step" in err
    assert all(torch.equal(value, before[name]) for name, value in weights(run).items())
    assert json.loads((run / "results.json").read_text())["stages"][-1]["metrics"] == results["stages"][-1]["metrics"]

    original = np.asarray(Image.open(run / "pictures" / "0" / "original.png"))
    recipe = load_recipe(str(mine))
    assert recipe is not None
    shown = np.asarray(Image.open(run / "pictures" / "0" / "low resolution.png"))
    assert np.array_equal(shown, degrade_rgb8(original, recipe, 4))
    page = (run / "report.html").read_text()
    assert "low resolution degraded by recipe" in page

    mine.unlink()  # the bundle carries the recipe
    (tmp_path / "held-out").mkdir()
    Image.fromarray(original).save(tmp_path / "held-out" / "a.png")
    code, _, err = advtasks("evaluate", run, "--data", tmp_path / "held-out", "--json", tmp_path / "card.json")
    assert code == 0, err
    card = json.loads((tmp_path / "card.json").read_text())
    for name, value in results["stages"][-1]["metrics"].items():
        assert card["stages"][0]["metrics"][name] == pytest.approx(value, rel=1e-5)


def test_streaming_trains_on_the_same_recipe(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], mine: Path
) -> None:
    flags = ("--steps", "2", *tiny, "--degradation", mine, "--cache-gib", "0")
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *flags)
    assert code == 0, err
    assert "decoded each time" in err


def test_random_scale_without_degradation_is_matlab_bicubic(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    flags = ("--steps", "2", *tiny, "--random-scale", "0.5", "0.5")
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *flags)
    assert code == 0, err
    original = np.asarray(Image.open(tmp_path / "run" / "pictures" / "0" / "original.png"))
    shown = np.asarray(Image.open(tmp_path / "run" / "pictures" / "0" / "low resolution.png"))
    assert np.array_equal(shown, downscale_rgb8(original, 4)), "validation pictures keep their size"


def test_the_preset_trains(advtasks, photos: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    for number, path in enumerate(sorted(photos.rglob("*.png"))[:3]):
        Image.open(path).resize((176, 168 + 4 * number)).save(large / path.name)
    code, _, err = advtasks(
        "train", "sr:realesrgan-compact", "--data", large, "--out", tmp_path / "run", "--steps", "2", "--batch", "2", "--patch", "8",
        "--generator", "compact:features=4:convolutions=1", "--adversary.discriminator", "unet:width=4", "--device", "cpu",
        "--perceptual-network", "efficientnet-lite0:levels=2",
    )  # fmt: skip
    assert code == 0, err
    assert read_manifest(tmp_path / "run" / "bundle.safetensors").task_options["degradation"] == "realesrgan"
    assert (REALESRGAN.generator, REALESRGAN.adversary.discriminator, REALESRGAN.adversary.weight) == (
        "rrdb",
        "unet",
        0.1,
    )


def test_what_does_not_fit_is_refused_by_name(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], mine: Path
) -> None:
    pairs = tmp_path / "pairs"
    for side in ("hr", "lr"):
        (pairs / side).mkdir(parents=True)
    for path in photos.glob("*.png"):
        high = Image.open(path)
        high.save(pairs / "hr" / path.name)
        high.resize((high.width // 4, high.height // 4)).save(pairs / "lr" / path.name)
    broken = tmp_path / "broken.yaml"
    broken.write_text("passes: [{blurr: {}}]")
    for arguments, code, message in (
        ((pairs, "--degradation", "photo"), 2, "degradation: "),
        ((pairs, "--random-scale", "0.5", "1"), 2, "random_scale: "),
        ((pairs, "--degradation", "photo", "--cache-gib", "0"), 2, "has low-resolution pictures of its own"),
        ((photos, "--degradation", "foto"), 2, "did you mean 'photo'"),
        ((photos, "--degradation", broken), 2, f"{broken}: passes.0.blurr: unknown field"),
        ((photos, "--degradation", "realesrgan"), 1, "with the margin that its degradation needs"),
    ):
        found, _, err = advtasks("train", "sr", "--out", tmp_path / "run", *tiny, "--data", *arguments)
        assert (found, message in err) == (code, True), err
