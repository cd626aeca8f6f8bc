"""The points task: a task that is no picture task, from the command line to samples."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from advtasks.cli.train import configure
from advtasks.errors import UsageError
from advtasks.evaluation.modes import mode_coverage
from advtasks.plugins import plugins, resolve
from advtasks.training.adversaries import make_adversaries

Run = Callable[..., tuple[int, str, str]]
SHORT = ("--device", "cpu", "--log-every", "20", "--batch", "64")


@pytest.fixture
def points(advtasks: Run, tmp_path: Path) -> Path:
    code, _, err = advtasks("train", "points", "--out", tmp_path / "run", "--steps", "40", *SHORT)
    assert code == 0, err
    return tmp_path / "run"


def test_training_needs_no_data_and_leaves_a_whole_run(points: Path, advtasks: Run) -> None:
    for name in ("bundle.safetensors", "report.html", "pictures/0/adversarial.png"):
        assert (points / name).stat().st_size > 0
    results = json.loads((points / "results.json").read_text())
    assert {"modes", "high_quality", "reverse_kl"} == set(results["stages"][-1]["metrics"])
    code, out, _ = advtasks("models", "info", points)
    assert code == 0
    assert "points-mlp" in out
    code, _, err = advtasks(
        "upscale", points / "pictures" / "0" / "adversarial.png", "-o", points / "up", "--model", points
    )
    assert code != 0
    assert "advtasks sample" in err


def test_samples_are_a_function_of_the_seed_and_never_overwritten(points: Path, advtasks: Run, tmp_path: Path) -> None:
    out = tmp_path / "samples"
    assert advtasks("sample", "-o", out, "--model", points, "--seeds", "0-1,4", "--count", "50")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        f"points-{s}.{kind}" for s in (0, 1, 4) for kind in ("npy", "png")
    ]
    first = np.load(out / "points-0.npy")
    assert first.shape == (50, 2)
    code, text, _ = advtasks("sample", "-o", out, "--model", points, "--seeds", "0,7", "--count", "9")
    assert code == 0
    assert "there already; seed 0 is left as it is" in text
    assert np.array_equal(np.load(out / "points-0.npy"), first)
    assert np.load(out / "points-7.npy").shape == (9, 2)
    (out / "points-8.png").write_text("mine")
    assert advtasks("sample", "-o", out, "--model", points, "--seeds", "8", "--count", "9")[0] == 0
    assert (out / "points-8.png").read_text() == "mine"
    assert not (out / "points-8.npy").exists()
    for wrong, message in (
        (("--seeds", "3-1"), "ranges"),
        (("--count", "0"), "at least 1"),
        (("--label", "2"), "knows 0 modes"),
    ):
        code, _, err = advtasks("sample", "-o", out, "--model", points, *wrong)
        assert code == 2
        assert message in err


def test_a_conditional_run_with_a_class_head_reaches_the_modes_asked_for(advtasks: Run, tmp_path: Path) -> None:
    code, _, err = advtasks(
        "train", "points", "--conditional", "--steps", "500", "--out", tmp_path / "run", *SHORT,
        "--adversary.conditioning", "projection", "--adversary.regularizers", "adc-gan:weight=0.3", "r1:gamma=0.02", "r2:gamma=0.02",
    )  # fmt: skip
    assert code == 0, err
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["stages"][-1]["metrics"]
    assert metrics["accuracy"] >= 0.95
    code, _, _ = advtasks(
        "sample", "-o", tmp_path / "out", "--model", tmp_path / "run", "--label", "3", "--count", "200"
    )
    assert code == 0
    angles = np.load(tmp_path / "out" / "points-0.npy")
    mean = angles.mean(0)
    assert abs(np.arctan2(mean[1], mean[0]) - 3 * np.pi / 4) < 0.2


@pytest.mark.parametrize(
    "flags",
    [
        ("--adversary.regularizers", "path-length:every=2", "zcr", "pulling-away"),
        (
            "--conditional",
            "--adversary.conditioning",
            "none",
            "--adversary.regularizers",
            "info-gan:categories=8",
            "tac-gan",
        ),
        ("--conditional", "--adversary.regularizers", "matching-aware", "r1:interval=2"),
        (
            "--adversary.regularizers",
            "unrolled:steps=2",
            "--adversary.augments",
            "apa:p=0.1:target=none,instance-noise",
        ),
        ("--adversary.pack", "2", "--adversary.loss", "hinge", "--adversary.regularizers", "lecam", "top-k:every=2"),
        ("--adversary.critics", "2", "--adversary.regularizers", "r1:interval=2"),
        ("--adversary.loss", "began", "--adversary.discriminator", "mlp-autoencoder"),
    ],
    ids=lambda flags: flags[-1],
)
def test_the_trainer_resumes_with_parts_that_need_more_than_pictures(
    flags: tuple[str, ...], advtasks: Run, tmp_path: Path
) -> None:
    """Latents, codes, classes, packs, several critics: the run stops in the middle and goes on bit for bit."""
    bundles = []
    for name in ("whole", "parts"):
        run = tmp_path / name
        arguments = ["train", "points", "--steps", "12", "--checkpoint-every", "4", *SHORT, "--samples", "50", *flags]
        code, _, err = advtasks(*arguments, "--out", run)
        assert code == 0, err
        if name == "parts":
            for path in [*run.glob("checkpoints/step-00000012.*"), run / "bundle.safetensors"]:
                path.unlink()
            code, _, err = advtasks("train", "--resume", run)
            assert code == 0, err
            assert "going on at step 8" in err
        bundles.append((run / "bundle.safetensors").read_bytes())
    assert bundles[0] == bundles[1]


def test_the_recommended_adversary_catches_the_ring(advtasks: Run, tmp_path: Path) -> None:
    """The whole proof, three seeds and the grid, is benchmarks/mode_coverage.py gate."""
    code, _, err = advtasks("train", "points", "--steps", "1200", "--out", tmp_path / "run", "--device", "cpu")
    assert code == 0, err
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["stages"][-1]["metrics"]
    assert metrics["modes"] == 8
    assert metrics["high_quality"] > 0.2


def test_mode_coverage_of_a_perfect_sampler_and_of_a_collapsed_one() -> None:
    draws = torch.Generator().manual_seed(0)
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    perfect = centers[torch.arange(40_000) % 4] + 0.01 * torch.randn(40_000, 2, generator=draws)
    found = mode_coverage(perfect, centers, 0.01)
    assert found.modes == 4
    assert found.high_quality == pytest.approx(0.9889, abs=0.002)
    assert found.reverse_kl == pytest.approx(0, abs=1e-4)
    one = mode_coverage(centers[:1].repeat(100, 1), centers, 0.01)
    assert (one.modes, one.high_quality) == (1, 1)
    assert one.reverse_kl == pytest.approx(np.log(4))
    nowhere = mode_coverage(torch.full((10, 2), 3.0), centers, 0.01)
    assert (nowhere.modes, nowhere.high_quality, nowhere.reverse_kl) == (0, 0, float("inf"))


@pytest.mark.parametrize("task", ["points", "sr"])
@pytest.mark.parametrize("kind", ["losses", "regularizers", "augments"])
def test_every_component_is_chosen_by_name_on_every_task(task: str, kind: str, tmp_path: Path) -> None:
    """From the command line and from YAML; what a task cannot serve is refused with the reason."""
    made = None
    for name in plugins().provided(kind):
        loss, regularizers, augments, critic = (
            "non-saturating",
            "r1",
            "",
            "mlp" if task == "points" else "patch:features=4",
        )
        if kind == "losses":
            loss = name
            regularizers = "weight-clipping" if name in ("wasserstein", "neural-net-distance") else "r1"
            if name in ("began", "ebgan"):
                critic = "mlp-autoencoder" if task == "points" else "autoencoder:width=4"
        elif kind == "regularizers":
            regularizers = {"info-gan": "info-gan:categories=8"}.get(name, name)
            if name == "virtual-batch-norm" and task == "points":
                continue  # the point critic has no batch norm to replace
        else:
            augments = name
        flags = [
            "--adversary.discriminator",
            critic,
            "--adversary.loss",
            loss,
            "--adversary.regularizers",
            regularizers,
        ]
        flags += ["--adversary.augments", augments] if augments else []
        _, _, config = configure(task, flags, None)
        (tmp_path / "run.yaml").write_text(
            f"task: {task}\nadversary:\n  discriminator: {critic}\n  loss: {loss}\n  regularizers: ['{regularizers}']\n"
            f"  augments: {[augments] if augments else []}\n"
        )
        assert configure("", [], tmp_path / "run.yaml")[2].adversary == config.adversary
        made = made or resolve(plugins().find("tasks", task).spec.task)(config)  # which no adversary changes
        if name in ("ac-gan", "tac-gan", "adc-gan", "ma-gp", "matching-aware", "gan-int", "contrastive"):
            with pytest.raises(UsageError, match="shows none|a task that shows one"):
                make_adversaries(made, config)
        else:
            assert make_adversaries(made, config)


def test_the_best_that_is_the_last_is_called_so_and_one_that_is_no_longer_asked_for_is_not_taken(
    advtasks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rising = iter(range(1, 1000))
    found = mode_coverage(torch.zeros(10, 2), torch.zeros(1, 2), 1.0)
    monkeypatch.setattr(
        "advtasks_synthesis.points.mode_coverage",
        lambda *arguments, **options: dataclasses.replace(found, high_quality=next(rising) / 1000),
    )
    flags = ("train", "points", "--out", tmp_path / "run", "--steps", "6", "--validate-every", "2", *SHORT)
    code, out, err = advtasks(*flags, "--keep-best", "high_quality")
    assert code == 0, err
    out += err
    assert "(the best by high_quality: " in out
    assert "at step 6)" in out
    assert "not the last" not in out
    stages = tmp_path / "run" / "stages"
    (best,) = stages.glob("*-best-*")
    best.write_bytes(b"not asked for any more")
    (tmp_path / "run" / "bundle.safetensors").unlink()
    file = tmp_path / "run" / "run.yaml"
    file.write_text(file.read_text().replace("keep_best: high_quality", "keep_best: null"))
    code, out, err = advtasks("train", "--resume", tmp_path / "run")
    assert code == 0, err
    assert advtasks("models", "info", tmp_path / "run")[0] == 0
    assert "the best by" not in out + err


def test_a_metric_that_can_never_be_measured_keeps_the_last(
    advtasks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dataclasses.replace(mode_coverage(torch.zeros(10, 2), torch.zeros(1, 2), 1.0), high_quality=float("nan"))
    monkeypatch.setattr("advtasks_synthesis.points.mode_coverage", lambda *arguments, **options: found)
    flags = ("train", "points", "--out", tmp_path / "run", "--steps", "4", *SHORT, "--keep-best", "high_quality")
    code, _, err = advtasks(*flags)
    assert code == 0, err
    assert (tmp_path / "run" / "bundle.safetensors").is_file()
