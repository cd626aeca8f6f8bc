"""Translation through the command line: train, translate, evaluate, export; labels, samples, another program's weights."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import natural
from PIL import Image
from safetensors.torch import load_file
from their_pix2pix import TheirUNet
from trainings import alike, take_back

from advtasks.bundle import read_manifest
from advtasks.trackers import read_records

TINY = (
    "--generator", "unet:levels=3:width=4", "--load", "0", "--crop", "16", "--batch", "2", "--device", "cpu",
    "--precision", "fp32", "--metric-network", "efficientnet-lite0:levels=2", "--perceptual-network",
    "efficientnet-lite0:levels=2", "--adversary.discriminator", "patch:features=4:layers=1:norm=none",
    "--steps", "6", "--log-every", "2", "--checkpoint-every", "2",
)  # fmt: skip


def pairs(folder: Path, labels: bool = False) -> Path:
    """Six pairs: a grey picture, or which third of its range that is in; and its colours."""
    for i in range(6):
        colours = natural(40, 36, i)
        grey = colours.mean(2).astype(np.uint8)
        a, b = (folder / name for name in (("label", "img") if labels else ("trainA", "trainB")))
        for place in (a, b):
            place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey // 86 if labels else grey).save(a / f"{i}.png")
        Image.fromarray(colours).save(b / f"{i}.png")
    return folder


@pytest.fixture
def run(advtasks, tmp_path: Path) -> Path:
    """A finished tiny run."""
    folder = tmp_path / "run"
    code, _, err = advtasks("train", "pix2pix", "--data", pairs(tmp_path / "data"), "--out", folder, *TINY)
    assert code == 0, err
    for part in ("folders of both sides", "input", "PSNR", "SSIM", "l1", "adversarial", "advtasks translate PICTURE"):
        assert part in err
    return folder


def test_a_run_is_whole_and_translates(run: Path, advtasks, tmp_path: Path) -> None:
    for name in ("run.yaml", "results.json", "report.html", "bundle.safetensors", "stages/l1.safetensors",
                 "pictures/0/input.png", "pictures/0/target.png"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    results = json.loads((run / "results.json").read_text())
    assert "l1" in json.dumps(results), "the plain L1 baseline"
    given = tmp_path / "in" / "deep"
    given.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    for name, size in (("a.png", (1, 1)), ("b.jpg", (37, 53)), ("c.webp", (101, 7)), ("deep/d.png", (8, 8))):
        Image.fromarray(natural(*size, 1)).save(given.parent / name, exif=exif)
    (given / "e.png").write_bytes(b"broken")
    code, out, err = advtasks("translate", given.parent, "-o", tmp_path / "out", "--model", run, "--report",
                              tmp_path / "report.json")  # fmt: skip
    assert code == 1, "one of them is broken"
    assert "e.png" in err
    assert "4 written, 0 skipped, 1 failed" in out
    for name, size in (("a_translated.png", (1, 1)), ("b_translated.jpg", (37, 53)),
                       ("c_translated.webp", (101, 7)), ("deep/d_translated.png", (8, 8))):  # fmt: skip
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == size
            assert image.getexif()[0x010E] == "a picture"
    assert len(json.loads((tmp_path / "report.json").read_text())["files"]) == 5
    (given / "e.png").unlink()
    code, out, _ = advtasks("translate", given.parent, "-o", tmp_path / "out", "--model", run / "bundle.safetensors")
    assert code == 0
    assert "0 written, 4 skipped" in out
    code, _, _ = advtasks("translate", given.parent, "-o", tmp_path / "no", "--model", run, "--dry-run")
    assert code == 0
    assert not (tmp_path / "no").exists()


def test_a_run_is_evaluated_and_exported(run: Path, advtasks, tmp_path: Path) -> None:
    code, out, err = advtasks("evaluate", run, "--data", tmp_path / "data")
    assert code == 0, err
    assert "PSNR" in out + err
    code, out, err = advtasks("export", run, "--out", tmp_path / "x.onnx")
    assert code == 0, err
    picture = tmp_path / "data/trainA/0.png"
    for model, out_folder in ((run, "torch"), (tmp_path / "x.onnx", "onnx")):
        assert advtasks("translate", picture, "-o", tmp_path / out_folder, "--model", model)[0] == 0
    one, other = (np.asarray(Image.open(tmp_path / f / "0_translated.png")).astype(int) for f in ("torch", "onnx"))
    assert np.abs(one - other).max() <= 1
    assert one.shape == (36, 40, 3)


def test_other_verbs_models_are_refused(run: Path, advtasks, tmp_path: Path) -> None:
    picture = tmp_path / "data/trainA/0.png"
    code, _, err = advtasks("upscale", picture, "-o", tmp_path / "out", "--model", run)
    assert code == 2
    assert "advtasks translate" in err
    for arguments, message in (
        (("--samples", "0"), "--samples must be at least 1"),
        (("--samples", "2"), "gives one output for an input"),
        (("--make-input",), "trained with inputs of their own"),
        (("--make-input", "edges"), "--make-input takes no 'edges': the model knows how its inputs were made"),
    ):
        code, _, err = advtasks("translate", picture, "-o", tmp_path / "out", "--model", run, *arguments)
        assert code == 2, arguments
        assert message in err


def test_labels_to_photographs_and_back(advtasks, tmp_path: Path) -> None:
    data = pairs(tmp_path / "data", labels=True)
    (data / "classes.txt").write_text("dark\nmiddle\nlight\n")
    code, _, err = advtasks("train", "pix2pix", "--data", data, "--out", tmp_path / "run", *TINY)
    assert code == 0, err
    manifest = read_manifest(tmp_path / "run/bundle.safetensors")
    assert (manifest.channels, manifest.out_channels) == (3, 3)
    assert json.loads(manifest.task_options["input_pixels"])["names"] == ["dark", "middle", "light"]
    code, _, err = advtasks("translate", data / "label", "-o", tmp_path / "out", "--model", tmp_path / "run")
    assert code == 0, err
    with Image.open(tmp_path / "out/0_translated.png") as image:
        assert image.mode == "RGB"
    back = ("--direction", "BtoA")
    code, _, err = advtasks("train", "pix2pix", "--data", data, "--out", tmp_path / "back", *TINY, *back)
    assert code == 0, err
    assert "mean IoU" in err
    code, _, err = advtasks("translate", data / "img", "-o", tmp_path / "maps", "--model", tmp_path / "back")
    assert code == 0, err
    with Image.open(tmp_path / "maps/0_translated.png") as image:
        assert image.mode == "P"
        assert np.asarray(image).max() < 3
    Image.fromarray(np.full((36, 40), 9, np.uint8)).save(data / "label/0.png")
    code, _, err = advtasks("train", "pix2pix", "--data", data, "--out", tmp_path / "y", *TINY, "--classes", "3")
    assert code == 1
    assert "label/0.png: holds the class 9, and there are 3" in err
    assert not list(tmp_path.glob("y/checkpoints/*"))


def test_shards_train_and_resume_as_files(advtasks, tmp_path: Path) -> None:
    """Of both sides, decoded when they are needed."""
    data = pairs(tmp_path / "data")
    (tmp_path / "shards").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "shards" / f"{number:03}.tar", "w") as archive:
            for path in sorted(data.rglob("*.png"), key=lambda path: path.stem)[number * 6 : number * 6 + 6]:
                archive.add(path, f"{path.stem}.{'input' if path.parent.name == 'trainA' else 'target'}.png")
    found = []
    for folder, flags in ((data, ()), (tmp_path / "shards", ("--cache-gib", "0"))):
        run = tmp_path / f"run-{folder.name}"
        code, _, err = advtasks(
            "train", "pix2pix", "--data", folder, "--out", run, *TINY, *flags, "--validation", tmp_path / "data"
        )
        assert code == 0, err
        found.append(load_file(run / "bundle.safetensors"))
        take_back(run)
        code, _, err = advtasks("train", "--resume", run)
        assert code == 0, err
        assert "going on at step 4" in err
        found.append(load_file(run / "bundle.safetensors"))
    assert alike(found)


def test_any_folder_of_pictures_is_a_task(advtasks, tmp_path: Path, photos: Path) -> None:
    code, _, err = advtasks("train", "pix2pix", "--data", photos, "--make-input", "grey", "--noise", "3", "--out",
                            tmp_path / "run", *TINY)  # fmt: skip
    assert code == 0, err
    assert f"advtasks translate PICTURE -o OUT --make-input --model {tmp_path / 'run'}" in err
    picture = photos / "picture-0.png"
    translate = ("translate", picture, "--model", tmp_path / "run", "-o")
    code, _, err = advtasks(*translate, tmp_path / "out", "--make-input", "--samples", "2", "--seed", "5")
    assert code == 0, err
    one, other = (np.asarray(Image.open(tmp_path / f"out/picture-0_translated-{seed}.png")) for seed in (5, 6))
    assert one.shape == other.shape == (80, 96, 3)
    assert not np.array_equal(one, other)
    assert advtasks(*translate, tmp_path / "again", "--make-input", "--seed", "5")[0] == 0
    assert np.array_equal(one, np.asarray(Image.open(tmp_path / "again/picture-0_translated.png")))


def test_several_outputs_are_one_batch(advtasks, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = advtasks("train", "pix2pix", "--data", photos, "--make-input", "grey", "--noise", "3", "--out",
                            tmp_path / "run", *TINY)  # fmt: skip
    assert code == 0, err
    for number in range(2):
        Image.fromarray(natural(24, 20, number)).save(tmp_path / f"{number}.png")
    command = ("translate", "-", "-o", tmp_path, "--model", tmp_path / "run", "--make-input", "--samples", "2")
    listed = f"{tmp_path / '0.png'}\n{tmp_path / '1.png'}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(listed))
    code, out, err = advtasks(*command, "--report", tmp_path / "report.json")
    assert code == 0, err
    assert "4 written, 0 skipped, 0 failed" in out
    report = json.loads((tmp_path / "report.json").read_text())
    names = {f"{number}_translated-{seed}.png" for number in range(2) for seed in range(2)}
    assert {Path(entry["target"]).name for entry in report["files"]} == names
    for _ in range(2):  # results among the inputs are none
        code, out, _ = advtasks("translate", f"{tmp_path}/*.png", *command[2:])
        assert code == 0
        assert "0 written, 4 skipped" in out
    assert {path.name for path in tmp_path.glob("*_translated*")} == names
    for more in ("2 written, 0 skipped", "0 written, 2 skipped"):  # one each: results of two are no inputs either
        code, out, _ = advtasks("translate", f"{tmp_path}/*.png", *command[2:7])
        assert more in out
    code, _, err = advtasks("translate", tmp_path / "0.png", *command[2:], "--seed", "9" * 20)
    assert code == 2
    assert "--seed is 0 to 9223372036854775806" in err


def test_dropout_that_stays_on_is_left_out_of_other_programs_files(advtasks, tmp_path: Path) -> None:
    data, run, picture = pairs(tmp_path / "data"), tmp_path / "run", tmp_path / "data/trainA/0.png"
    generator = "unet:levels=6:width=4:norm=batch:upsample=transposed:dropout=0.5:test_time=paper"
    small = ("--crop", "64", "--steps", "2", "--generator", generator)
    code, _, err = advtasks("train", "pix2pix", "--data", data, "--out", run, *TINY, *small)
    assert code == 0, err
    code, _, err = advtasks("translate", picture, "-o", tmp_path / "out", "--samples", "2", "--model", run)
    assert code == 0, err
    one, other = (np.asarray(Image.open(tmp_path / f"out/0_translated-{seed}.png")) for seed in range(2))
    assert not np.array_equal(one, other)
    code, out, err = advtasks("export", run, "--out", tmp_path / "x.onnx")
    assert code == 0, err
    assert "dropout is random in use of this model; it is left out" in out
    assert advtasks("translate", picture, "-o", tmp_path / "onnx", "--model", tmp_path / "x.onnx")[0] == 0


def test_a_resumed_run_is_bit_identical(run: Path, advtasks, tmp_path: Path) -> None:
    half = [*TINY, "--steps", "6"]
    stopped = tmp_path / "stopped"
    assert advtasks("train", "pix2pix", "--data", tmp_path / "data", "--out", stopped, *half)[0] == 0
    for path in sorted((stopped / "checkpoints").glob("*.pt"))[1:]:
        path.unlink()
    for name in ("bundle.safetensors", "results.json"):
        (stopped / name).unlink()
    code, _, err = advtasks("train", "--resume", stopped)
    assert code == 0, err
    assert (stopped / "bundle.safetensors").read_bytes() == (run / "bundle.safetensors").read_bytes()
    assert [r["step"] for r in read_records(stopped / "metrics.jsonl") if r["kind"] == "train"][-1] == 6


def test_weights_of_the_other_program_translate(advtasks, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = TheirUNet(5, 4, "batch", 3, 3).train()
    torch.save(theirs.state_dict(), tmp_path / "latest_net_G.pth")
    picture = natural(64, 64, 0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    code, _, err = advtasks("translate", tmp_path / "a.png", "-o", tmp_path / "out", "--model",
                            tmp_path / "latest_net_G.pth", "--precision", "fp32")  # fmt: skip
    assert code == 0, err
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1)[0].permute(1, 2, 0)
    found = np.asarray(Image.open(tmp_path / "out/a_translated.png")).astype(float)
    assert np.abs(found - ((wanted.numpy() + 1) * 127.5)).max() <= 0.51
