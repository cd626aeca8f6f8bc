"""The main job through the command line: train, kill, resume, upscale, evaluate, report."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from states import difference
from trainings import finished, ranks_of, resumed, started, state, take_back, wait_for_checkpoint

from advtasks.bundle import load_bundle, read_manifest
from advtasks.trackers import read_records


@pytest.fixture
def run(advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]) -> Path:
    """A finished tiny run."""
    folder = tmp_path / "run"
    (photos / "notes.txt").write_text("not a picture")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 broken")
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", folder, "--steps", "6", *tiny)
    assert code == 0, err
    for part in (
        "broken.jpg",
        "notes.txt",
        "bicubic",
        "PSNR-Y",
        "adversarial",
        "images/s",
        "advtasks upscale",
    ):
        assert part in err
    return folder


def test_train_leaves_a_whole_run_folder(run: Path) -> None:
    for name in ("run.yaml", "metrics.jsonl", "results.json", "report.html", "bundle.safetensors",
                 "stages/pixel.safetensors", "stages/adversarial.safetensors", "previews/step-00000006.jpg",
                 "pictures/0/bicubic.png", "pictures/0/original.png"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert len(list((run / "checkpoints").glob("*.pt"))) == 2
    records = read_records(run / "metrics.jsonl")
    assert [r["step"] for r in records if r["kind"] == "train"] == [2, 4, 5, 6]
    train = [r for r in records if r["kind"] == "train"][-1]
    assert {
        "l1",
        "perceptual",
        "adversarial",
        "discriminator",
        "learning_rate/generator",
        "images_per_s",
    } <= set(train)
    results = json.loads((run / "results.json").read_text())
    assert results["baseline"]["name"] == "bicubic"
    assert [stage["stage"] for stage in results["stages"]] == ["pixel", "adversarial"]
    manifest = read_manifest(run / "bundle.safetensors")
    assert manifest.verb == "upscale"
    assert manifest.metrics == results["stages"][-1]["metrics"]
    assert manifest.training_data.startswith("pictures of the folder photos")
    page = (run / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", ""), "the page must not need a network"
    assert page.count("data:image/webp;base64") >= 5
    assert not list(run.rglob("*.tmp*"))
    assert any((run / "tensorboard").iterdir())


def test_upscale_files_and_folders(advtasks, run: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (21, 33, 3), dtype=np.uint8)).save(source / "a.jpg")
    Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)).save(source / "sub" / "b.png")
    (source / "bad.png").write_text("no picture")
    code, out, err = advtasks("upscale", source, "-o", tmp_path / "out", "--model", run)
    assert code == 1
    assert "bad.png" in err
    assert "2 written, 0 skipped, 1 failed" in out
    with Image.open(tmp_path / "out" / "a_x4.jpg") as image:
        assert image.size == (132, 84)
    with Image.open(tmp_path / "out" / "sub" / "b_x4.png") as image:
        assert (image.size, image.mode) == ((36, 36), "L")
    before = (tmp_path / "out" / "a_x4.jpg").stat().st_mtime_ns
    code, out, _ = advtasks("upscale", source / "a.jpg", "-o", tmp_path / "out", "--model", run / "bundle.safetensors")
    assert code == 0
    assert "skipped (--overwrite replaces it)" in out
    assert (tmp_path / "out" / "a_x4.jpg").stat().st_mtime_ns == before
    code, out, _ = advtasks(
        "upscale", source / "a.jpg", "-o", tmp_path / "out", "-m", run, "--overwrite", "--tile", "8"
    )
    assert code == 0
    assert (tmp_path / "out" / "a_x4.jpg").stat().st_mtime_ns > before


def test_upscale_refuses_clearly(advtasks, run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(bytes(100))
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    for arguments, code, message in (
        (("x.png", "-o", tmp_path, "-m", run), 2, "x.png: no such file"),
        (("x.png", "-o", tmp_path, "-m", tmp_path / "a.pth"), 1, "not a PyTorch weights file"),
        (("x.png", "-o", tmp_path, "-m", tmp_path / "none"), 1, "no such model"),
        (("-o", tmp_path, "-m", run), 2, "no pictures given"),
        ((tmp_path / "b.png", "-o", tmp_path, "-m", run, "--device", "cuda:99"), 2, "cuda:99"),
    ):
        found, _, err = advtasks("upscale", *arguments)
        assert (found, message in err) == (code, True), err


def test_a_blend_of_the_stages(advtasks, run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    found = {}
    for share in ("0", "0.5", "1"):
        out = tmp_path / share
        code, _, err = advtasks("upscale", tmp_path / "a.png", "-o", out, "-m", run, "--blend", share)
        assert code == 0, err
        found[share] = np.asarray(Image.open(out / "a_x4.png")).astype(int)
    for share, model in (("0", "pixel"), ("1", "adversarial")):
        stage = run / "stages" / f"{model}.safetensors"
        assert advtasks("upscale", tmp_path / "a.png", "-o", tmp_path / model, "-m", stage)[0] == 0
        assert np.array_equal(found[share], np.asarray(Image.open(tmp_path / model / "a_x4.png")))
    assert not np.array_equal(found["0"], found["0.5"])
    assert not np.array_equal(found["1"], found["0.5"])
    for flags, message in (
        (("--blend", "2"), "from 0 to 1"),
        (("--blend-with", run), "needs --blend"),
        (("--blend", "0.5", "--model", run / "bundle.safetensors"), "--blend-with"),
    ):
        code, _, err = advtasks("upscale", tmp_path / "a.png", "-o", tmp_path / "x", "--model", run, *flags)
        assert (code, message in err) == (2, True), err


def test_training_begins_with_the_weights_of_another_run(
    advtasks, run: Path, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    out = tmp_path / "second"
    flags = ("--data", photos, "--steps", "2", "--stages.0.learning-rate", "1e-12", "--adversary.kind", "none")
    code, _, err = advtasks("train", "sr", *tiny, *flags, "--out", out, "--initial-weights", run)
    assert code == 0, err
    assert "beginning with the weights of" in err
    first, second = (load_bundle(path / "bundle.safetensors")[0].state_dict() for path in (run, out))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-3)
    code, _, err = advtasks(
        "train", "sr", *tiny, *flags, "--out", tmp_path / "third", "--initial-weights", run,
        "--generator", "srresnet:features=4:blocks=1:tail=direct",
    )  # fmt: skip
    assert code == 2
    assert "another network" in err


def test_training_begins_with_a_network_that_its_bundle_holds_folded(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    """The bundle's convolutions are folded; the checkpoint's are not."""
    flags = ("--data", photos, "--generator", "span:features=4", "--adversary.kind", "none", "--steps", "2")
    first, second = tmp_path / "first", tmp_path / "second"
    assert advtasks("train", "sr", *tiny, *flags, "--out", first)[0] == 0
    slow = ("--stages.0.learning-rate", "1e-12", "--stages.1.learning-rate", "1e-12")
    code, _, err = advtasks("train", "sr", *tiny, *flags, *slow, "--out", second, "--initial-weights", first)
    assert code == 0, err
    states = [load_bundle(path / "bundle.safetensors")[0].state_dict() for path in (first, second)]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=1e-5)
    code, _, err = advtasks(
        "train", "sr", *tiny, *flags, "--out", tmp_path / "third", "--initial-weights", first / "bundle.safetensors"
    )
    assert code == 2
    assert "folded for inference" in err


def test_evaluate_repeats_the_numbers_of_training(advtasks, run: Path, photos: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    results = json.loads((run / "results.json").read_text())
    original = np.asarray(Image.open(run / "pictures" / "0" / "original.png"))
    assert results["validation_pictures"] == 1
    Image.fromarray(original).save(held_out / "a.png")
    code, out, _ = advtasks("evaluate", run, "--data", held_out, "--json", tmp_path / "card.json")
    assert code == 0
    assert "bicubic" in out
    card = json.loads((tmp_path / "card.json").read_text())
    for name, value in results["stages"][-1]["metrics"].items():
        assert card["stages"][0]["metrics"][name] == pytest.approx(value, rel=1e-5)
        assert card["pictures"][str(held_out / "a.png")][name] == pytest.approx(value, rel=1e-5)


def test_report_models_and_a_finished_run(advtasks, run: Path) -> None:
    (run / "report.html").unlink()
    assert advtasks("report", run)[0] == 0
    assert (run / "report.html").exists()
    code, out, _ = advtasks("models", "info", run)
    assert code == 0
    assert json.loads(out)["generator"] == "srresnet"
    code, out, _ = advtasks("train", "--resume", run)
    assert code == 0
    assert "is finished" in out
    assert out.endswith(f"--initial-weights {run}\n"), "the folder: a folded network's bundle cannot be trained"


def test_usage_errors_of_train(advtasks, photos: Path, run: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    small = ("--generator", "srresnet:features=4:blocks=1", "--adversary.discriminator", "vgg-style:width=2")
    for arguments, code, message in (
        (("train", "sr"), 2, "--data is missing"),
        (("train", "sd", "--data", photos), 2, "did you mean 'sr'"),
        (("train", "sr:fast", "--data", photos), 2, "no preset 'fast'"),
        (("train", "sr", "--data", tmp_path / "none"), 1, "no such folder"),
        (("train", "sr", "--data", photos, "--out", run), 2, "--resume"),
        (("train", "sr", "--data", photos, "--adversary.loss", "hing"), 2, "did you mean 'hinge'"),
        (("train", "sr", "--data", photos, "--batsh", "3"), 2, "--batch"),
        (("train", "sr", "--data", photos, "--patch", "0"), 2, "patch must be at least 1"),
        (("train", "sr", "--data", photos, "--seed", "-1"), 2, "seed must be at least 0"),
        (("train", "sr:srgan", "--data", photos, "--patch", "4", *small), 2, "cannot judge image pictures of 3x16x16"),
        (("train", "--resume", tmp_path / "none"), 2, "not a run folder"),
        (("train", "--resume", run, "--batch", "3"), 2, "N, --dry-run and --print-config, not '--batch'"),
        (("train", "--resume"), 2, "--resume: expected one argument; see advtasks train --help"),
        (("train", "--resume", run, "--tune"), 2, "N, --dry-run and --print-config, not '--tune'"),
        (("train", "--data", photos), 2, "name the task first"),
        (("trane",), 2, "did you mean 'train'"),
    ):
        found, _, err = advtasks(*arguments)
        assert found == code, (arguments, err)
        assert message in err, (arguments, err)


def test_dry_run_and_print_config(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = advtasks("train", "sr", "--data", photos, "--print-config", *tiny)
    assert code == 0
    assert "\nsteps:" not in out, "the stages say it"
    (tmp_path / "again.yaml").write_text(out)
    assert advtasks("train", "--config", "again.yaml", "--print-config")[1] == out
    code, out, _ = advtasks("train", "--config", "again.yaml", "--dry-run")
    assert code == 0
    assert "# critic of image:" in out
    assert "5 pictures to train on, 1 to validate on" in out
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_refuses_what_the_run_would(advtasks, photos: Path, run: Path, tiny: tuple[str, ...]) -> None:
    code, out, err = advtasks("train", "sr", "--data", photos, *tiny, "--out", run, "--dry-run")
    assert (code, out) == (2, "")
    assert f"{run} holds a run" in err


def test_a_run_whose_checkpoints_were_removed_is_not_begun_anew(advtasks, run: Path) -> None:
    """That would write over its record."""
    (run / "bundle.safetensors").unlink()
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    before = (run / "metrics.jsonl").read_bytes()
    code, _, err = advtasks("train", "--resume", run)
    assert code == 1
    assert f"{run / 'checkpoints'}: no checkpoint is there, and the run came to step 6" in err
    assert (run / "metrics.jsonl").read_bytes() == before


def test_looking_at_a_run_that_could_be_resumed_trains_nothing(advtasks, run: Path) -> None:
    (run / "bundle.safetensors").unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    code, out, _ = advtasks("train", "--resume", run, "--print-config", "--devices", "2")
    assert code == 0
    assert out.startswith("task: sr\n")
    assert "\ndevices: 2\n" in out
    code, out, _ = advtasks("train", "--resume", run, "--dry-run")
    assert code == 0
    assert "# critic of image:" in out
    assert "The last good checkpoint is" in out
    assert "step-00000006.pt" in out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_what_a_rehearsal_refuses_leaves_no_run(advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    flags = ("--adversary.discriminator", "vgg-style:width=2", "--patch", "2")
    code, out, err = advtasks("train", "sr", "--data", photos, *tiny, *flags, "--dry-run")
    assert (code, out) == (2, "")
    assert "cannot judge image pictures of 3x8x8" in err
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *tiny, *flags)
    assert code == 2
    assert "cannot judge image pictures of 3x8x8" in err
    assert not (tmp_path / "run").exists()


ADAPTIVE = (
    "--adversary.augments", "ada:interval=1:speed=50", "--adversary.regularizers", "spectral-norm,lecam:decay=0.5",
    "--stages.1.schedule", "cosine", "--stages.1.warmup", "3", "--validate-every", "3", "--keep-best", "psnr_y",
    "--early-stopping", "4", "--adversary.optimizer", "adamw", "--clip-norm", "1", "--ema-half-life", "50",
)  # fmt: skip
"""All that a training keeps from step to step."""


@pytest.mark.parametrize("devices", [1, 2])
def test_kill_and_resume_is_bit_identical(photos: Path, tmp_path: Path, tiny: tuple[str, ...], devices: int) -> None:
    """In the adversarial stage: the critic and what adapts to it have moved."""
    several = ("--devices", devices) if devices > 1 else ()
    flags = ("sr", "--data", photos, "--stages.0.steps", 6, "--stages.1.steps", 18, *tiny, *ADAPTIVE, *several)
    process = started(*flags, "--out", tmp_path / "killed")
    wait_for_checkpoint(tmp_path / "killed", process, 12)
    for number in ranks_of(process) or [process.pid]:
        os.kill(number, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (tmp_path / "killed" / "bundle.safetensors").exists()
    assert "going on at step" in resumed(tmp_path / "killed")
    finished(started(*flags, "--out", tmp_path / "whole"))
    whole, killed = (state(tmp_path / name) for name in ("whole", "killed"))
    assert difference(killed, whole) is None
    critic = whole["adversaries"]["image"]
    assert max(value.item() for name, value in critic.items() if name.endswith(".p")) > 0, "ADA has begun"
    bundles = [(tmp_path / name / "bundle.safetensors").read_bytes() for name in ("killed", "whole")]
    assert bundles[0] == bundles[1]
    results = [json.loads((tmp_path / name / "results.json").read_text())["stages"] for name in ("killed", "whole")]
    assert [stage["metrics"] for stage in results[0]] == [stage["metrics"] for stage in results[1]]


def test_ctrl_c_leaves_a_checkpoint_and_exit_code_130(photos: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    process = started("sr", "--data", photos, "--out", tmp_path / "run", "--steps", "5000", *tiny)
    wait_for_checkpoint(tmp_path / "run", process, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"advtasks train --resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err


def test_without_adversary_equals_weight_zero_bit_for_bit(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    for name, flags in (("none", ("--adversary.kind", "none")), ("zero", ("--adversary.weight", "0"))):
        code, _, err = advtasks(
            "train", "sr", "--data", photos, "--out", tmp_path / name, "--steps", "8", *tiny, *flags
        )
        assert code == 0, err
    bundles = [load_file(tmp_path / name / "bundle.safetensors") for name in ("none", "zero")]
    assert all(torch.equal(tensor, bundles[1][name]) for name, tensor in bundles[0].items())


@pytest.mark.parametrize(
    ("preset", "generator"),
    [("srgan", "srresnet:features=4:blocks=1"), ("esrgan", "rrdb:features=4:blocks=1:growth=4")],
)
def test_the_papers_recipes_run(advtasks, photos: Path, tmp_path: Path, preset: str, generator: str) -> None:
    code, _, err = advtasks(
        "train", f"sr:{preset}", "--data", photos, "--out", tmp_path / "run", "--steps", "3", "--batch", "2", "--patch", "8",
        "--generator", generator, "--adversary.discriminator", "vgg-style:width=4", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    assert read_manifest(tmp_path / "run" / "bundle.safetensors").scale == 4


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_other_scales(advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], scale: int) -> None:
    code, _, err = advtasks(
        "train",
        "sr",
        "--data",
        photos,
        "--out",
        tmp_path / "run",
        "--steps",
        "2",
        *tiny,
        "--scale",
        scale,
        "--patch",
        "4",
    )
    assert code == 0, err
    code, out, _ = advtasks("upscale", photos / "picture-0.png", "-o", tmp_path / "out", "-m", tmp_path / "run")
    assert code == 0
    assert f"{96 * scale}x{80 * scale}" in out


def test_a_kill_before_the_first_checkpoint_resumes_from_the_beginning(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    flags = ("--steps", "4", *tiny, "--checkpoint-every", "100")
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *flags)
    assert code == 0, err
    run = tmp_path / "run"
    for path in [run / "bundle.safetensors", *(run / "checkpoints").iterdir()]:
        path.unlink()
    before = [r for r in read_records(run / "metrics.jsonl") if r["kind"] == "train"]
    code, _, err = advtasks("train", "--resume", run)
    assert code == 0, err
    after = [r for r in read_records(run / "metrics.jsonl") if r["kind"] == "train"]
    assert [r["step"] for r in after] == [r["step"] for r in before]
    assert after[-1]["l1"] == before[-1]["l1"]


def test_one_command_begins_a_run_goes_on_with_it_and_leaves_it_finished(advtasks, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("train", "points", "--device", "cpu", "--steps", "8", "--checkpoint-every", "4", "--batch", "64",
               "--samples", "200", "--out", run, "--auto-resume")  # fmt: skip
    assert "would go on" not in advtasks(*command, "--dry-run")[1]
    code, _, err = advtasks(*command)
    assert code == 0, err
    assert "going on" not in err
    whole = (run / "bundle.safetensors").read_bytes()
    code, out, err = advtasks(*command)
    assert (code, err) == (0, "")
    assert f"{run} is finished" in out
    take_back(run)
    assert f"would go on in {run}" in advtasks(*command, "--dry-run")[1]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for flags, message in (
        (("--batch", "32"), f"{run} was begun with batch: 64, and this command says 32: give what it was begun with"),
        (("--adversary.loss", "hinge"), "was begun with adversary.loss: relativistic-paired, and this command says"),
        (("--tune",), "leave --tune away"),
        (("--out", "None"), "give --out RUN"),
    ):
        code, _, err = advtasks(*command, *flags)
        assert (code, message in err) == (2, True), err
    assert "was begun with preset: ring" in advtasks("train", "points:grid", *command[2:])[2]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    code, _, err = advtasks(*command, "--restarts", "0")
    assert code == 0, err
    assert "going on at step 4" in err
    assert (run / "bundle.safetensors").read_bytes() == whole
    code, _, err = advtasks("train", "--resume", run, "--auto-resume")
    assert (code, "it takes only --devices N, --dry-run and --print-config, not '--auto-resume'" in err) == (2, True)
