"""``advtasks train text2image`` and ``advtasks generate``, as a user meets them."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from trainings import alike, take_back

from advtasks.bundle import read_manifest

Run = Callable[..., tuple[int, str, str]]
TINY = (
    "--generator", "df:width=4:hidden=8", "--size", "16", "--batch", "4", "--device", "cpu", "--precision", "fp32",
    "--adversary.discriminator", "text:width=4:blocks=2", "--encoder", "hash:width=16", "--metric-pictures", "16",
    "--log-every", "2", "--checkpoint-every", "2", "--metric-network", "efficientnet-lite0:levels=2",
)  # fmt: skip
COLORS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (230, 220, 20)}


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured squares and discs with what they are."""
    folder = tmp_path_factory.mktemp("captioned")
    rows = []
    for number, (name, color) in enumerate(COLORS.items()):
        for shape in range(6):
            pixels = np.full((20, 24, 3), 255, np.uint8)
            pixels[4 + shape % 3 : 16, 5:18] = color
            file = f"{number}{shape}.png"
            Image.fromarray(pixels).save(folder / file)
            rows.append({"file_name": file, "text": [f"a {name} box", f"box number {shape}, {name}"]})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(captioned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps, with captions left out now and then."""
    from advtasks.cli.main import main

    run = tmp_path_factory.mktemp("runs") / "run"
    flags = ("--steps", "4", "--caption-dropout", "0.2", "--out", str(run), *TINY)
    assert main(["train", "text2image", "--data", str(captioned), *flags]) == 0
    return run


def test_training_tells_what_it_found_and_leaves_a_bundle(model: Path) -> None:
    manifest = read_manifest(model / "bundle.safetensors")
    assert (manifest.task, manifest.verb, manifest.generator) == ("text2image", "generate", "df")
    assert manifest.task_options["encoder"] == "hash:width=16"
    assert len(manifest.task_options["encoder_hash"]) == 12
    results = json.loads((model / "results.json").read_text())
    assert [metric["name"] for metric in results["metrics"]] == ["kernel", "r_precision"]
    assert results["baseline"]["name"] == "real pictures"
    assert (model / "report.html").stat().st_size > 10_000
    assert list((model / "pictures").rglob("*.png"))


def test_the_report_shows_what_generate_makes_of_caption_and_seed(model: Path) -> None:
    """Its i-th picture is that of seed i."""
    from advtasks_text2image.sampler import Sampler

    shown = np.array(Image.open(next((model / "pictures").rglob("adversarial*.png"))))
    sampler, cell = Sampler.load(model), 128 // 16
    texts = [text for name in COLORS for text in (f"a {name} box", *(f"box number {n}, {name}" for n in range(6)))]
    for seed in (0, 3):
        top, left = seed // 4 * (128 + 18), seed % 4 * (128 + 4)
        found = shown[top + cell // 2 : top + 128 : cell, left + cell // 2 : left + 128 : cell]
        made = [(sampler(text, [seed])[0] * 255).round().permute(1, 2, 0).numpy() for text in texts]
        assert min(np.abs(found - one).max() for one in made) <= 1


def test_resuming_gives_the_same_bundle(advtasks: Run, captioned: Path, tmp_path: Path) -> None:
    def trained(name: str, *flags: str) -> bytes:
        run = tmp_path / name
        code, _, err = advtasks("train", "text2image", "--data", captioned, "--out", run, *TINY, *flags)
        assert code == 0, err
        return (run / "bundle.safetensors").read_bytes()

    generator = ("--generator", "df:width=4:hidden=8:augment=6", "--stages.0.weights", "conditioning-kl", "2.0",
                 "--adversary.regularizers", "matching-aware,ma-gp:interval=2,gan-int")  # fmt: skip
    whole = trained("whole", "--steps", "6", *generator)
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    for path in (tmp_path / "half" / "checkpoints").glob("step-*6*"):
        path.unlink()
    (tmp_path / "half" / "bundle.safetensors").unlink()
    code, _, err = advtasks("train", "--resume", tmp_path / "half")
    assert code == 0, err
    assert (tmp_path / "half" / "bundle.safetensors").read_bytes() == whole


def test_an_encoder_that_learns_travels_with_the_model(advtasks: Run, captioned: Path, tmp_path: Path) -> None:
    """Resume, generate and evaluate need nothing but the bundle; the words are attended to."""
    flags = (*TINY, "--generator", "df:width=4:hidden=8:attention=8", "--encoder", "characters:width=16:steps=5",
             "--words", "4", "--caption-dropout", "0.2", "--steps", "4")  # fmt: skip
    run, cache = tmp_path / "run", tmp_path / "cache"
    code, _, err = advtasks("train", "text2image", "--data", captioned, "--out", run, "--cache", cache, *flags)
    assert code == 0, err
    whole = (run / "bundle.safetensors").read_bytes()
    assert read_manifest(run / "bundle.safetensors").task_options["encoder_hash"] == "", "it is in the bundle"
    for path in [*(run / "checkpoints").glob("step-*4*"), run / "bundle.safetensors"]:
        path.unlink()
    shutil.rmtree(cache)
    code, _, err = advtasks("train", "--resume", run)
    assert code == 0, err
    assert (run / "bundle.safetensors").read_bytes() == whole, "it learns the same again"
    shutil.rmtree(cache)
    arguments = ("--model", run / "bundle.safetensors", "--device", "cpu")
    code, _, err = advtasks("generate", "a red box", "--seeds", "0-1", "-o", tmp_path / "out", *arguments)
    assert code == 0, err
    code, _, err = advtasks("generate", "a red box", "a blue box", "-o", tmp_path / "way", "--between", 3, *arguments)
    assert code == 0, err
    code, _, err = advtasks("generate", "a red box", "-o", tmp_path / "no", *arguments, "--encoder", "hash:width=16")
    assert (code, "carries its own text encoder" in err) == (2, True), err
    assert_no_guidance_is_no_text(run)
    code, out, err = advtasks("evaluate", run, "--data", captioned, "--device", "cpu", "--cache", tmp_path / "other")
    assert code == 0, err
    assert "R-precision" in out
    code, _, err = advtasks("train", "text2image", "--data", captioned, "--out", tmp_path / "next", *flags,
                            "--initial-weights", run)  # fmt: skip
    assert (code, "learns from each data set anew" in err) == (2, True), err


def assert_no_guidance_is_no_text(run: Path) -> None:
    from advtasks_text2image.sampler import Sampler

    sampler = Sampler.load(run, "cpu")
    words = []
    sampler.network.register_forward_pre_hook(lambda _, given: words.append(given[2]))
    sampler("a red box", range(2))
    sampler("a red box", range(2), guidance=0.0)
    assert words[0].any()
    assert not words[1].any()


def test_pictures_of_texts(advtasks: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("generate", "a red box", "Ein Haus: 犬!", "-o", out, "--model", model, "--device", "cpu")
    code, _, err = advtasks(*arguments, "--seeds", "0-2,5", "--grid", tmp_path / "grid.png")
    assert code == 0, err
    names = {path.name for path in out.iterdir()}
    assert len(names) == 8
    assert {"a-red-box_seed0.png", "a-red-box_seed5.png", "ein-haus-犬_seed2.png"} <= names
    with Image.open(out / "a-red-box_seed0.png") as picture:
        assert picture.size == (16, 16)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width > 4 * 128
    before = (out / "a-red-box_seed2.png").read_bytes()
    code, text, _ = advtasks("generate", "a red box", "-o", tmp_path / "alone", "--model", model, "--seeds", 2,
                             "--device", "cpu", "--json")  # fmt: skip
    assert code == 0
    assert (tmp_path / "alone" / "a-red-box_seed2.png").read_bytes() == before, "whatever stands beside it"
    (made,) = json.loads(text)
    assert (made["text"], made["seed"], made["cut_tokens"]) == ("a red box", 2, 0)
    code, text, err = advtasks(*arguments, "--json", "--seeds", "5-6")
    assert code == 0
    assert "is there already; left as it is" in err
    assert [one["seed"] for one in json.loads(text)] == [6, 6], "those that were not there"
    before = (tmp_path / "grid.png").read_bytes()
    code, _, err = advtasks(*arguments[:1], "a\nblue box", *arguments[3:], "--grid", tmp_path / "grid.png")
    assert code == 0
    assert f"{tmp_path / 'grid.png'} is there already" in err
    assert (tmp_path / "grid.png").read_bytes() == before
    code, _, err = advtasks(*arguments, "--grid", tmp_path / "grid.jpg")
    assert code == 2
    assert "is written as PNG" in err
    code, _, err = advtasks(*arguments[:1], "a\nblack box", *arguments[3:], "--grid", tmp_path / "lines.png")
    assert code == 0, err


def test_prompts_from_a_file_and_names_that_collide(advtasks: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a red box\n\nA red box!\n", encoding="utf-8")
    code, _, err = advtasks("generate", "--prompts", tmp_path / "prompts.txt", "-o", tmp_path / "out", "--model", model)
    assert code == 0, err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a-red-box_seed0.png", "a-red-box-2_seed0.png"}


def test_from_one_text_to_another(advtasks: Run, model: Path, tmp_path: Path) -> None:
    arguments = ("--model", model, "--device", "cpu")
    code, _, err = advtasks("generate", "a red box", "a blue box", "-o", tmp_path / "texts", "--between", 5, *arguments)
    assert code == 0, err
    with (
        Image.open(tmp_path / "texts" / "between.png") as strip,
        Image.open(tmp_path / "texts" / "between.gif") as film,
    ):
        assert strip.size == (5 * 16, 16)
        assert film.size == (16, 16)
        first = np.asarray(strip)[:, :16]
    assert advtasks("generate", "a red box", "-o", tmp_path / "one", *arguments)[0] == 0
    with Image.open(tmp_path / "one" / "a-red-box_seed0.png") as picture:
        assert np.array_equal(np.asarray(picture), first)
    seeds = ("generate", "a red box", "-o", tmp_path / "seeds", "--seeds", "0-1,1", "--between", 3, *arguments)
    code, out, err = advtasks(*seeds, "--json")
    assert code == 0, err
    assert [Path(one["file"]).name for one in json.loads(out)] == ["between.png", "between.gif"]
    assert json.loads(out)[0]["to"] == ["a red box", 1]
    assert advtasks("generate", "a", "-o", tmp_path / "seeds", "--seeds", "0-1", "--between", 3, *arguments)[0] == 0
    assert "a red box" in json.loads(out)[0]["from"]


def test_guidance_and_truncation_change_what_they_should(model: Path) -> None:
    import torch
    from advtasks_text2image.sampler import Sampler

    sampler = Sampler.load(model, "cpu")
    assert sampler.knows_no_text
    seen: list[torch.Tensor] = []
    sampler.network.register_forward_pre_hook(lambda _, given: seen.extend(given))
    sampler("a red box", range(3))
    sampler("a red box", range(3), truncation=0.5, guidance=2.0)
    sampler("a red box", range(3), guidance=0.0)
    noise, text, less_noise, more_text, _, no_text = seen
    torch.testing.assert_close(less_noise, 0.5 * noise)
    torch.testing.assert_close(more_text, 2 * text)
    assert not no_text.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to show"),
        (("  ",), "a text is empty"),
        (("x", "--seeds", "a"), "write numbers and ranges"),
        (("x", "--truncation", "2"), "--truncation must lie above 0"),
        (("x", "--between", "1"), "at least 2 steps"),
        (("x", "y", "z", "--between", "4"), "give two of them"),
        (("--prompts", "/none.txt"), "cannot be read"),
        (("x", "--encoder", "hash:width=32"), "was made with"),
        (("x", "y", "--between", "4", "--grid", "g.png"), "makes a strip and no --grid"),
        (("x", "--guidance", "nan"), "at least 0 and finite"),
        (("x", "--seeds", "99999999999999999999999"), "below 2^63"),
        (("x", "--seeds", "0-9999999"), "at most 1,000,000"),
        (("x", "--seeds", "0-600000,600001-1200000"), "at most 1,000,000"),
        (("x", "-o", __file__), "is a file, and pictures go into a folder"),
    ],
)
def test_what_generate_refuses(
    advtasks: Run, model: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = advtasks("generate", "-o", tmp_path / "out", *arguments, "--model", model)
    assert (code, message in err) == (2, True), err


def test_words_that_nobody_knows_are_said(advtasks: Run, model: Path, tmp_path: Path) -> None:
    code, out, err = advtasks("generate", "!!!", "-o", tmp_path / "out", "--model", model, "--json")
    assert code == 0
    assert "knows no word of '!!!'" in err
    assert len(json.loads(out)) == 1, "nothing but JSON"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--adversary.kind", "none"), "this task has no objective of its own"),
        (("--size", "48"), "power of two"),
        (("--stages.0.weights", "conditioning-kl", "1.0"), "no conditioning augmentation: write df:augment=128"),
        (("--encoder", "nothing"), "unknown"),
        (("--caption-dropout", "1"), "below 1"),
        (("--encoder", "transformers:model=/none"), "transformers cannot load it"),
    ],
)
def test_what_training_refuses(
    advtasks: Run, captioned: Path, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    code, _, err = advtasks(
        "train", "text2image", "--data", captioned, "--out", tmp_path / "run", "--steps", 2, *TINY, *flags
    )
    assert (code, message in err) == (2, True), err


def test_an_archive_trains_and_resumes_as_its_files_also_where_nothing_is_kept(
    advtasks: Run, captioned: Path, tmp_path: Path, cache_folder: Path
) -> None:
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "all.tar", "w") as archive:
        for path in sorted(captioned.iterdir()):
            archive.add(path, path.name)
    found = []
    for data, flags in ((tmp_path / "shards", ("--cache-gib", "0")), (captioned, ())):
        run = tmp_path / f"run-{data.name}"
        flags += ("--steps", 4, "--checkpoint-every", 2)
        code, _, err = advtasks("train", "text2image", "--data", data, "--out", run, *TINY, *flags)
        assert code == 0, err
        assert bool(list(cache_folder.rglob("*.npy"))) == (data == captioned)
        found.append(load_file(run / "bundle.safetensors"))
        take_back(run)
        code, _, err = advtasks("train", "--resume", run)
        assert code == 0, err
        assert "going on at step 2" in err
        found.append(load_file(run / "bundle.safetensors"))
    assert alike(found)


def test_folders_with_faults_are_trained_on_and_the_faults_said(advtasks: Run, captioned: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    shutil.copytree(captioned, folder)
    Image.new("RGB", (9, 9)).save(folder / "alone.png")
    (folder / "00.png").write_bytes(b"broken")
    with (folder / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"file_name": "gone.png", "text": "gone"}) + "\n")
        file.write(json.dumps({"file_name": "10.png", "text": "  "}) + "\n")
    code, _, err = advtasks("train", "text2image", "--data", folder, "--out", tmp_path / "run", "--steps", 2, *TINY)
    assert code == 0, err
    for part in ("00.png", "1 pictures without a caption are left out: alone.png", "gone.png (metadata.jsonl, row 25)",
                 "1 empty captions were left out"):  # fmt: skip
        assert part in err, part
    code, out, _ = advtasks("data", "check", folder, "--task", "text2image")
    assert code == 1
    assert "no such picture: gone.png" in out
    rows = [json.loads(line) for line in (captioned / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    same = "\n".join(json.dumps({**row, "text": "a box"}) for row in rows)
    (folder / "metadata.jsonl").write_text(same, encoding="utf-8")
    code, _, err = advtasks("train", "text2image", "--data", folder, "--out", tmp_path / "same", "--steps", 2, *TINY)
    assert code == 1
    assert "all captions are nearly the same to hash-16" in err
    code, _, err = advtasks("train", "text2image", "--data", captioned, "--out", tmp_path / "next", "--steps", 2, *TINY,
                            "--encoder", "hash:width=32", "--initial-weights", tmp_path / "run")  # fmt: skip
    assert code == 2
    assert "was made with" in err
    (tmp_path / "none").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "none" / "red_apple.png")
    code, _, err = advtasks("train", "text2image", "--data", tmp_path / "none", "--steps", 2, *TINY)
    assert code == 1
    assert "--captions names" in err


def test_evaluation_beside_real_pictures(advtasks: Run, model: Path, captioned: Path) -> None:
    code, out, err = advtasks("evaluate", model, "--data", captioned, "--device", "cpu")
    assert code == 0, err
    assert "real pictures" in out
    assert "R-precision" in out


def test_the_way_between_ends_where_it_should(model: Path) -> None:
    import torch
    from advtasks_text2image.sampler import Sampler

    sampler = Sampler.load(model, "cpu")
    seen: list[torch.Tensor] = []
    sampler.network.register_forward_pre_hook(lambda _, given: seen.extend(given))
    ends = ("a red box", 3), ("a blue box", 4)
    sampler.between(*ends, steps=5)
    noise, texts = seen
    for row, (text, seed) in zip((0, -1), ends, strict=True):
        sampler(text, [seed])
        torch.testing.assert_close(noise[row], seen[-2][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(texts[row], seen[-1][0])
    torch.testing.assert_close(texts[2], (texts[0] + texts[-1]) / 2)
    assert 0.6 < float(noise[2].norm() / noise[0].norm()) < 1.6, "noise stays as far from its mean"
