"""``advtasks evaluate`` on folders: pairs, training pictures, neighbours, several processes, and doubts."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import natural
from PIL import Image

from advtasks.evaluation.cards import ScoreCard
from advtasks.evaluation.doubts import doubts
from advtasks.evaluation.folder_features import FolderFeatures

Run = Callable[..., tuple[int, str, str]]
SMALL = ("--backbone", "efficientnet-lite0:levels=2", "--device", "cpu")


def saved(place: Path, seeds: range, suffix: str = ".png", noise: float = 0.0, side: int = 64) -> Path:
    """A folder of one picture a seed."""
    place.mkdir(parents=True)
    for seed in seeds:
        pixels = natural(side, side, seed) + np.random.default_rng(seed).normal(0, noise, (side, side, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"p{seed:03d}{suffix}")
    return place


def values(card: Path) -> dict[str, float]:
    return {score.name: score.value for score in ScoreCard.load(card).scores}


def test_pairs_are_found_by_name_and_measured(advtasks: Run, tmp_path: Path) -> None:
    references = saved(tmp_path / "references", range(8))
    good = saved(tmp_path / "good", range(7), noise=4)
    bad = saved(tmp_path / "bad", range(7), noise=40)
    (good / "p000.png").rename(good / "p000_x4.png")
    Image.new("RGB", (30, 64)).save(good / "p003.png")
    (good / "p004.png").write_bytes(b"broken")
    Image.new("RGB", (64, 64)).save(good / "other.png")
    card = tmp_path / "card.json"
    code, out, err = advtasks("evaluate", good, "--data", references, "--paired", "--json", card, *SMALL)
    assert code == 0, err
    for part in ("PSNR-Y (dB), 4 px cropped", "MS-SSIM-RGB", "perceptual distance (efficientnet-lite0)", "other.png",
                 "1 references have no output: p007.png", "30x64 pixels, and its reference p003.png has 64x64",
                 "p004.png"):  # fmt: skip
        assert part in out, part
    found = values(card)
    whole = [np.asarray(Image.open(path)).astype(float) for path in (good / "p001.png", references / "p001.png")]
    assert 20 * np.log10(255 / np.sqrt(np.mean((whole[0] - whole[1]) ** 2))) == pytest.approx(
        found["psnr_rgb"], abs=1.5
    )
    assert ScoreCard.load(card).protocol["pairs"] == 5
    code, out, _ = advtasks("evaluate", good, bad, "--data", references, "--paired", *SMALL)
    assert code == 2, "another number of pairs"
    (good / "other.png").unlink()
    for name in ("p003.png", "p004.png"):
        Image.open(references / name).save(good / name)
    code, out, _ = advtasks("evaluate", good, bad, "--data", references, "--paired", "--json", card, *SMALL)
    assert code == 0
    better, worse = (values(tmp_path / f"card-{name}.json") for name in ("good", "bad"))
    for name in ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "ms_ssim"):
        assert better[name] > worse[name]
    for name in ("l1", "distance_efficientnet-lite0"):
        assert better[name] < worse[name]
    code, _, err = advtasks("evaluate", good, "--data", saved(tmp_path / "none", range(50, 52)), "--paired", *SMALL)
    assert code == 1
    assert "bears the name of one of" in err


def test_copies_are_looked_for_among_the_training_pictures_and_shown(advtasks: Run, tmp_path: Path) -> None:
    train, held_out = saved(tmp_path / "train", range(30)), saved(tmp_path / "held-out", range(28, 60))
    fakes = saved(tmp_path / "fakes", range(100, 118))
    for number in range(2):
        (fakes / f"copy{number}.png").write_bytes((train / f"p00{number}.png").read_bytes())
    arguments = ("evaluate", fakes, "--data", held_out, "--train", train, "--neighbors", tmp_path / "near.jpg")
    code, out, err = advtasks(*arguments, "--json", tmp_path / "card.json", *SMALL)
    assert code == 0, err
    assert "2 generated pictures are files of the training ones" in out
    assert "2 real pictures are (nearly) training pictures" in out
    assert values(tmp_path / "card.json")["copies"] >= 0.1
    with Image.open(tmp_path / "near.jpg") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    top = pixels[20:330]
    assert np.abs(top[:, :310] - top[:, 324:634]).mean() < 3, "the first row is a copy beside its original"
    code, _, err = advtasks("evaluate", tmp_path / "x.safetensors", "--data", held_out, "--neighbors", "n.jpg")
    assert code == 2
    assert "--neighbors is for folders" in err


def test_two_processes_find_the_same_numbers(tmp_path: Path) -> None:
    real, fakes = saved(tmp_path / "real", range(21)), saved(tmp_path / "fakes", range(40, 59))
    (fakes / "broken.png").write_bytes(b"no picture")
    cards = []
    for ranks in (1, 2):
        cards.append(tmp_path / f"card{ranks}.json")
        command = [sys.executable, "-m", "advtasks.cli.main", "evaluate", str(fakes), "--data", str(real), "--json",
                   str(cards[-1]), "--cache", str(tmp_path / f"cache{ranks}"), *SMALL]  # fmt: skip
        if ranks > 1:
            command[1:2] = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("coverage, k=5") == 1, "one process prints"
        assert "broken.png" in done.stdout
    one, two = (values(card) for card in cards)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def side(count: int = 60, prefix: str = "a", **changed: object) -> FolderFeatures:
    """Pictures that nothing is to be said against but that they are few."""
    draws = torch.Generator().manual_seed(0)
    plain = FolderFeatures(
        features=torch.randn(count, 4, generator=draws),
        paths=tuple(Path(f"{i}.png") for i in range(count)),
        contents=tuple(f"{prefix}{i}" for i in range(count)),
        sizes=Counter({(64, 64): count}),
        logits=torch.randn(count, 5, generator=draws),
        ranges=torch.tensor([[0.0, 1.0]] * count),
    )
    return dataclasses.replace(plain, **changed)  # type: ignore[arg-type]


def test_there_is_nothing_to_say_against_good_folders() -> None:
    assert doubts(side(prefix="a"), side(prefix="b")) == []


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (side(20), "20 generated pictures are very few"),
        (side(30), "30 generated pictures are few for 4 dimensions: the Fréchet distance is biased upwards below about 40"),
        (side(logits=torch.eye(5)[[1] * 58 + [2] * 2]), "97% of the generated pictures are of one class"),
        (side(sizes=Counter({(64, 64): 40, (32, 64): 20})), "have 2 sizes"),
        (side(ranges=torch.tensor([[0.0, 1 / 255]] * 60)), "lie between 0 and 1 of 255"),
        (side(ranges=torch.tensor([[0.5, 1.0]] * 60)), "lie between 128 and 255 of 255"),
        (side(ranges=torch.tensor([[0.0, 1.0]] * 59 + [[0.3, 0.3]])), "1 generated pictures are of one single value"),
        (side(paths=tuple(Path(f"{i}.jpg") for i in range(60))), "compression is measured, too"),
        (side(contents=("a",) * 60), "59 generated files are there twice"),
    ],
)  # fmt: skip
def test_doubts(fake: FolderFeatures, message: str) -> None:
    assert any(message in doubt for doubt in doubts(fake, side(prefix="b")))


def test_inception_scores_of_too_many_splits_are_refused(advtasks: Run, tmp_path: Path) -> None:
    real, fakes = saved(tmp_path / "real", range(16)), saved(tmp_path / "fakes", range(40, 56))
    arguments = ("evaluate", fakes, "--data", real, "--device", "cpu", "--json", tmp_path / "card.json")
    code, out, err = advtasks(*arguments, "--splits", 17)
    assert code == 2
    assert "16 samples cannot be split in 17" in err
    code, out, err = advtasks(*arguments, "--splits", 2)
    assert code == 0, err
    assert "inception score on its classes (efficientnet-lite0)" in out
    assert 1 <= values(tmp_path / "card.json")["inception_score"] <= 16
    assert json.loads((tmp_path / "card.json").read_text())["protocol"]["splits"] == 2
