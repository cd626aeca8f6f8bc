"""``advtasks evaluate`` on models: score cards that `advtasks compare` reads, and several processes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, natural
from PIL import Image

from advtasks.cli import evaluate_models
from advtasks.evaluation.cards import load_cards

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(advtasks: Run, photos: Path, tmp_path: Path) -> Path:
    """A finished tiny run."""
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", "--steps", "2", *TINY)
    assert code == 0, err
    return tmp_path / "run"


def test_models_get_score_cards_whatever_the_number_of_processes(run: Path, advtasks: Run, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    for seed in range(5):
        Image.fromarray(natural(80, 72, seed + 50)).save(held_out / f"{seed}.png")
    one, two, other = (tmp_path / f"{name}.json" for name in ("one", "two", "other"))
    code, out, err = advtasks("evaluate", run, "--data", held_out, "--json", one, "--device", "cpu")
    assert code == 0, err
    assert "with the interval of 95 % of the mean: PSNR" in out
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
               "advtasks.cli.main", "evaluate", str(run), "--data", str(held_out), "--json", str(two),
               "--device", "cpu"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mean over 5 examples") == 1, "one process prints"
    card, shared = load_cards(one)[0], load_cards(two)[0]
    assert card.protocol == shared.protocol
    for score in card.scores:
        same = shared.score(score.name)
        assert same is not None
        assert same.value == pytest.approx(score.value, rel=1e-5)
    psnr = card.score("psnr_y")
    assert psnr is not None
    values = [row["psnr_y"] for row in json.loads(one.read_text())["pictures"].values()]
    assert psnr.value == pytest.approx(np.mean(values))
    assert psnr.low is not None
    assert psnr.value - psnr.low == pytest.approx(2.776 * np.std(values, ddof=1) / 5**0.5, rel=1e-3), "Student's, of 5"
    assert psnr.protocol
    for part in ("data", "formats", "task", "networks", "baseline"):
        assert part in card.protocol
    for package in ("advtasks", "torch", "Pillow"):
        assert package in card.code
    assert advtasks("compare", one, two)[0] == 0
    assert "was trained on" not in err
    (held_out / "4.png").unlink()
    assert advtasks("evaluate", run, "--data", held_out, "--json", other, "--device", "cpu")[0] == 0
    code, _, err = advtasks("compare", one, other)
    assert code == 2
    assert "data: a folder of 5 pictures" in err


def test_a_dangling_link_beside_the_pictures_stops_nothing(run: Path, advtasks: Run, photos: Path) -> None:
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    code, _, err = advtasks("evaluate", run, "--data", photos, "--device", "cpu")
    assert code == 0, err
    assert f"warning: {run} was trained on {photos}" in err


def test_what_cannot_be_compared_is_said_before_anything_is_measured(
    run: Path, advtasks: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = advtasks("evaluate", run, photos / "nope", "--data", photos, "--device", "cpu")
    assert code == 1
    assert "nope: no such model" in err
    assert "measuring" not in err
    tasks = iter(("sr", "pix2pix"))
    real = evaluate_models.read_manifest
    monkeypatch.setattr(
        evaluate_models, "read_manifest", lambda path: dataclasses.replace(real(path), task=next(tasks))
    )
    code, _, err = advtasks("evaluate", run, run / "bundle.safetensors", "--data", photos, "--device", "cpu")
    assert code == 2
    assert f"{run} is a model of sr and {run / 'bundle.safetensors'} of pix2pix: evaluate them one by one" in err
    assert "measuring" not in err
