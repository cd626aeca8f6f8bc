"""``advtasks evaluate`` on folders: pairs, training pictures, neighbours, several processes, and doubts."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import unicodedata
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import natural
from PIL import Image, ImageDraw

from advtasks import components
from advtasks.cli import evaluate_folders
from advtasks.data.cache import PictureCache
from advtasks.errors import UsageError
from advtasks.evaluation.cards import Score, ScoreCard, card_table, check_comparable
from advtasks.evaluation.copies import neighbors, repeated
from advtasks.evaluation.distributions import distribution_card
from advtasks.evaluation.doubts import doubts
from advtasks.evaluation.folder_features import FolderFeatures, folder_features
from advtasks.evaluation.look_alikes import LOOK
from advtasks.evaluation.paired import PairMeasure, pair_measures, paired_card, paired_files
from advtasks.reporting.pictures import CELL

Run = Callable[..., tuple[int, str, str]]
SMALL = ("--backbone", "efficientnet-lite0:levels=2", "--device", "cpu")


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """MS-SSIM of 50 pairs takes most of the time of small folders."""
    monkeypatch.setattr("advtasks.evaluation.distributions.PAIRS", 3)


def saved(place: Path, seeds: range, suffix: str = ".png", noise: float = 0.0, side: int = 64) -> Path:
    """A folder of one picture a seed."""
    place.mkdir(parents=True)
    for seed in seeds:
        pixels = natural(side, side, seed) + np.random.default_rng(seed).normal(0, noise, (side, side, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"p{seed:03d}{suffix}")
    return place


def values(card: Path) -> dict[str, float]:
    return {score.name: score.value for score in ScoreCard.load(card).scores}


@pytest.mark.parametrize(
    "added", ["_x4", "_x3.2", "_3840x", "_x2160", "_3840x2160", "_translated-7", "_x4_png", "_x4_jpg_1"]
)
def test_outputs_of_our_commands_find_their_references(added: str, tmp_path: Path) -> None:
    for folder, name in (("outputs", f"photo_1{added}.png"), ("references", "photo_1.jpg")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    pairs, notes = paired_files(tmp_path / "outputs", tmp_path / "references")
    assert [reference.name for _, reference in pairs] == ["photo_1.jpg"]
    assert not notes


def test_what_was_measured_before_a_folder_fails_is_kept(advtasks: Run, tmp_path: Path) -> None:
    references, good = saved(tmp_path / "references", range(3)), saved(tmp_path / "good", range(3), noise=4)
    alone = saved(tmp_path / "alone", range(50, 52))
    card = tmp_path / "card.json"
    code, out, err = advtasks("evaluate", good, alone, "--data", references, "--paired", "--json", card, *SMALL)
    assert code != 0
    assert "alone" in err
    assert "good" in out
    assert values(tmp_path / "card-good.json")["psnr_rgb"] > 20


def test_a_pair_that_fills_the_memory_is_passed_over(tmp_path: Path) -> None:
    folders = [saved(tmp_path / name, range(2)) for name in ("outputs", "references")]
    left = [RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 12")]

    def measure(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        if left:
            raise left.pop()
        return torch.tensor(1.0)

    card = paired_card(*folders, [PairMeasure("one", "one", True, measure, "")], torch.device("cpu"))
    assert any("p000.png: not enough memory to measure it" in text for text in card.warnings)
    assert card.scores[0].value == 1.0


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
    code, out, err = advtasks("evaluate", good, bad, "--data", references, "--paired", *SMALL)
    assert code == 2, "another number of pairs"
    assert "pairs: 5 and 7" in err
    assert out.count("PSNR-Y") == 2, "both cards are printed none the less"
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


def looking(darkest: int, brightest: int, count: int = 60) -> torch.Tensor:
    """Looks of pictures of noise that keep to these values."""
    draws = torch.Generator().manual_seed(darkest)
    looks = torch.randint(darkest, brightest + 1, (count, LOOK), generator=draws, dtype=torch.uint8)
    looks[:, -5], looks[:, -4] = darkest, brightest
    return looks


def side(count: int = 60, prefix: str = "a", **changed: object) -> FolderFeatures:
    """Pictures that nothing is to be said against but that they are few."""
    draws = torch.Generator().manual_seed(0)
    plain = FolderFeatures(
        features=torch.randn(count, 4, generator=draws),
        paths=tuple(Path(f"{i}.png") for i in range(count)),
        contents=tuple(f"{prefix}{i}" for i in range(count)),
        sizes=Counter({(64, 64): count}),
        logits=torch.randn(count, 5, generator=draws),
        formats=Counter(PNG=count),
        looks=looking(0, 255, count),
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
        (side(11), "11 generated pictures are too few for an interval of the Fréchet distance in 4 dimensions: it needs 15"),
        (side(sizes=Counter({(64, 64): 40, (32, 64): 20})), "have 2 sizes"),
        (side(looks=looking(0, 1)), "lie between 0 and 1 of 255"),
        (side(looks=looking(128, 255)), "lie between 128 and 255 of 255"),
        (side(looks=torch.cat((looking(0, 255, 59), looking(70, 70, 1)))), "1 generated pictures are of one single value"),
        (side(formats=Counter(JPEG=60)), "compression is measured, too"),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x.safetensors", "--neighbors", "n.jpg"), "--neighbors is for folders, and has no effect on models"),
        (("x.safetensors", "--backbone=efficientnet-lite0"), "--backbone is for folders and folders with --paired"),
        (("x.safetensors", "--paired"), "--paired is for folders with --paired"),
        ((".", "--distances", "dists"), "--distances is for models and folders with --paired"),
        ((".", "--border", "4"), "--border is for folders with --paired"),
        ((".", "--paired", "--train", "t"), "--train is for folders, and has no effect on folders with --paired"),
        ((".", "--paired", "--seed", "1"), "--seed is for folders"),
        ((".", "--splits", "0"), "--splits 0"),
        ((".", "--paired", "--border", "-3"), "--border -3"),
    ],
)
def test_options_without_effect_are_refused(advtasks: Run, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = advtasks("evaluate", *arguments, "--data", ".")
    assert (code, message in err) == (2, True), err


def altered(picture: Image.Image, how: str, place: Path) -> None:
    """Saved as a near-duplicate."""
    if how == "jpeg":
        picture.save(place.with_suffix(".jpg"), quality=85)
    elif how == "noise":
        noise = np.random.default_rng(0).normal(0, 2, (*picture.size[::-1], 3))
        Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8)).save(place)
    elif how == "crop":
        picture.crop((2, 2, picture.width - 2, picture.height - 2)).save(place)
    else:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(place)


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Crops of real photographs, of one place each."""
    found = []
    for path in sorted((Path(__file__).parents[2] / "datasets" / "photos").rglob("*.jpg")):
        with Image.open(path) as image:
            whole = image.convert("RGB")
        found += [whole.crop((x, x, x + 96, x + 96)) for x in (0, 100)]
    return found


@pytest.mark.parametrize("how", ["jpeg", "noise", "crop", "flip"])
def test_near_duplicates_are_found_whatever_was_done_to_them(
    how: str, photographs: list[Image.Image], tmp_path: Path
) -> None:
    for name in ("test", "train"):
        (tmp_path / name).mkdir()
    for number, picture in enumerate(photographs):
        half = len(photographs) // 2
        picture.save(tmp_path / ("test" if number < half else "train") / f"{number:03d}.png")
        if number < 10:
            altered(picture, how, tmp_path / "train" / f"copy{number}.png")
    network = components.build("features", "efficientnet-lite0:levels=2")
    test, train = (folder_features(tmp_path / n, network, PictureCache(tmp_path / "cache")) for n in ("test", "train"))
    found = repeated(test, train, neighbors(test, train))
    assert found[:10].sum() >= 9
    assert not found[10:].any(), "other places of the same kind are no copies"


def test_pictures_of_one_class_are_no_duplicates(tmp_path: Path) -> None:
    """Faces on one ground: each with its own features at its own places."""
    for name, seeds in (("a", range(30)), ("b", range(100, 130))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            draws = np.random.default_rng(seed)
            face = Image.new("RGB", (64, 64), "white")
            pen = ImageDraw.Draw(face)
            pen.ellipse((6, 4, 58, 60), fill=(230, 190, 160))
            for x, y in ((22, 26), (42, 26), (32, 46)):
                across, down, wide, high = (int(v) for v in draws.integers((-4, -4, 2, 2), (5, 5, 8, 6)))
                color = tuple(int(v) for v in draws.integers(0, 160, 3))
                pen.ellipse((x + across - wide, y + down - high, x + across + wide, y + down + high), fill=color)
            face.save(tmp_path / name / f"{seed}.png")
    network = components.build("features", "efficientnet-lite0:levels=2")
    one, other = (folder_features(tmp_path / n, network, PictureCache(tmp_path / "cache")) for n in ("a", "b"))
    assert repeated(one, other, neighbors(one, other)).double().mean() < 0.1


def test_copies_are_counted_among_doubled_files_and_altered(photographs: list[Image.Image], tmp_path: Path) -> None:
    for name in ("real", "fakes"):
        (tmp_path / name).mkdir()
    for number, picture in enumerate(photographs[:20]):
        picture.save(tmp_path / "real" / f"{number:03d}.png")
        altered(picture, "jpeg", tmp_path / "fakes" / f"{number:03d}.png")
    picture.save(tmp_path / "real" / "twice.png")
    network = components.build("features", "efficientnet-lite0:levels=2")
    real, fakes = (folder_features(tmp_path / n, network, PictureCache(tmp_path / "cache")) for n in ("real", "fakes"))
    for one, least in ((real, 1.0), (fakes, 0.9)):
        copies = distribution_card("x", one, real, network).score("copies")
        assert copies is not None
        assert copies.value >= least


def test_mapped_files_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system maps some 65,000 files at a time; a folder may hold more pictures."""
    network = components.build("features", "efficientnet-lite0:levels=2")
    place = saved(tmp_path / "some", range(12))
    mapped: list[weakref.ref[np.ndarray]] = []
    most = 0

    class Watching(PictureCache):
        def known(self, content: str, recipe: str) -> np.ndarray | None:
            nonlocal most
            array = super().known(content, recipe)
            if array is not None:
                mapped.append(weakref.ref(array))
            most = max(most, sum(one() is not None for one in mapped))
            return array

    monkeypatch.setattr("advtasks.evaluation.folder_features.BATCH", 2)
    monkeypatch.setattr("advtasks.data.cache.MAPPED", 4)
    for _ in range(2):
        folder_features(place, network, Watching(tmp_path / "cache"))
    assert len(mapped) == 36
    assert most < 12


def test_features_need_no_room_in_the_cache(tmp_path: Path) -> None:
    """They are held in memory; only what training draws must fit."""
    network = components.build("features", "efficientnet-lite0:levels=2")
    place = saved(tmp_path / "some", range(3))
    for _ in range(2):
        assert len(folder_features(place, network, PictureCache(tmp_path / "cache", 1e-6)).features) == 3


def test_a_format_is_what_was_decoded_and_patches_are_of_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = saved(tmp_path / "some", range(6))
    for seed in range(4):
        Image.open(place / f"p00{seed}.png").save(place / f"p00{seed}.png", format="JPEG")
    monkeypatch.setattr("advtasks.evaluation.folder_features.PATCHED", 3)
    network = components.build("features", "efficientnet-lite0:levels=2")
    found = folder_features(place, network, PictureCache(tmp_path / "cache"))
    assert found.formats == {"JPEG": 4, "PNG": 2}
    assert found.patches is not None
    assert len(found.patches) == 3


def test_features_of_another_preprocessing_are_others(tmp_path: Path) -> None:
    place = saved(tmp_path / "some", range(3))
    network = components.build("features", "efficientnet-lite0:levels=2")
    before = folder_features(place, network, PictureCache(tmp_path / "cache")).features
    network.get_buffer("std").mul_(2)
    after = folder_features(place, network, PictureCache(tmp_path / "cache")).features
    assert not torch.allclose(before, after)


def test_folders_of_one_name_keep_apart(advtasks: Run, tmp_path: Path) -> None:
    real = saved(tmp_path / "real", range(16))
    folders = [saved(tmp_path / name / "samples", range(start, start + 16)) for name, start in (("a", 40), ("b", 80))]
    files = ("--json", tmp_path / "c.json", "--neighbors", tmp_path / "n.jpg")
    code, out, err = advtasks("evaluate", *folders, "--data", real, *files, *SMALL)
    assert code == 0, err
    assert "a/samples" in out
    one, two = (values(tmp_path / f"c-{name}-samples.json") for name in ("a", "b"))
    assert one["frechet"] != two["frechet"]
    assert (tmp_path / "n-b-samples.jpg").exists()
    code, _, err = advtasks("evaluate", folders[0], folders[0], "--data", real, *SMALL)
    assert (code, "is named twice" in err) == (2, True)


def test_unequal_numbers_are_printed_before_they_are_refused(advtasks: Run, tmp_path: Path) -> None:
    real = saved(tmp_path / "real", range(16))
    folders = [saved(tmp_path / "a", range(40, 56)), saved(tmp_path / "b", range(80, 97))]
    code, out, err = advtasks("evaluate", *folders, "--data", real, *SMALL)
    assert code == 2
    assert "generated pictures: 16 and 17" in err
    assert out.count("coverage, k=5") == 2


def test_the_cache_is_kept_small(advtasks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fakes = saved(tmp_path / "real", range(16)), saved(tmp_path / "fakes", range(40, 56))
    pruned: list[Path] = []
    monkeypatch.setattr(PictureCache, "prune", lambda cache: pruned.append(cache.folder))
    assert advtasks("evaluate", fakes, "--data", real, "--cache", tmp_path / "cache", *SMALL)[0] == 0
    assert pruned == [tmp_path / "cache"]


def test_pairs_of_other_references_are_not_compared(advtasks: Run, tmp_path: Path) -> None:
    outputs = saved(tmp_path / "outputs", range(4), noise=5)
    cards = []
    for name, seed, suffix in (("one", 0, ".png"), ("other", 50, ".png"), ("lossy", 0, ".jpg")):
        references = saved(tmp_path / name, range(seed, seed + 4), suffix)
        for number, path in enumerate(sorted(references.iterdir())):
            path.rename(references / f"p{number:03d}{suffix}")
        cards.append(tmp_path / f"{name}.json")
        code, out, err = advtasks("evaluate", outputs, "--data", references, "--paired", "--json", cards[-1], *SMALL)
        assert code == 0, err
        assert ("compression is measured, too" in out) == (name == "lossy")
    for other, message in ((cards[1], "references: 4 files"), (cards[2], "format of references: PNG and JPEG")):
        code, _, err = advtasks("compare", cards[0], other)
        assert code == 2
        assert message in err


def test_equal_pictures_are_infinitely_good_and_the_file_is_json(advtasks: Run, tmp_path: Path) -> None:
    place, card = saved(tmp_path / "same", range(3)), tmp_path / "card.json"
    code, out, err = advtasks("evaluate", place, "--data", place, "--paired", "--json", card, *SMALL)
    assert code == 0, err
    assert "inf" in out
    strict = json.loads(card.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert strict["scores"][0]["value"] is None
    assert values(card)["psnr_y"] == float("inf")
    code, out, _ = advtasks("compare", card, card)
    assert code == 0
    assert "inf*" in out


def card(name: str, *scores: Score) -> ScoreCard:
    return ScoreCard(name, {"n": 1}, scores)


def test_cards_are_matched_by_the_names_of_scores() -> None:
    psnr, lpips = Score("psnr", "PSNR", 30.0, True), Score("lpips", "LPIPS", 0.2, False, protocol="weights 1")
    table = card_table(
        [card("a", lpips, psnr), card("b", psnr), card("c", dataclasses.replace(psnr, value=31.0), lpips)]
    )
    rows = {line.split()[0]: line.split()[2:] for line in table.splitlines()[2:4]}
    assert rows == {"LPIPS": ["0.2*", "—", "0.2*"], "PSNR": ["30", "30", "31*"]}
    assert "not on the card of b: LPIPS" in table
    check_comparable([card("a", lpips), card("b", psnr)])
    with pytest.raises(UsageError, match="LPIPS: weights 1 and weights 2"):
        check_comparable([card("a", lpips), card("b", dataclasses.replace(lpips, protocol="weights 2"))])


def test_neighbours_are_shown_whole_and_as_they_look(tmp_path: Path) -> None:
    grey = np.full((8, 4), 20000, np.uint16)
    grey[:4] = 0
    Image.fromarray(grey).save(tmp_path / "deep.png")
    shown = evaluate_folders._whole(tmp_path / "deep.png")
    assert shown.shape == (3, CELL, CELL)
    assert float(shown[0, 0, 0]) == 1.0, "white beside it"
    assert [round(float(shown[0, row, CELL // 2]) * 65535, -2) for row in (4, CELL - 4)] == [0, 20000]


def test_names_that_are_composed_differently_pair_and_ambiguous_ones_do_not(advtasks: Run, tmp_path: Path) -> None:
    references, outputs = saved(tmp_path / "references", range(3)), saved(tmp_path / "outputs", range(3), noise=4)
    (references / "p000.png").rename(references / unicodedata.normalize("NFD", "é.png"))
    (outputs / "p000.png").rename(outputs / unicodedata.normalize("NFC", "é.png"))
    (outputs / "p001_x4.png").write_bytes((outputs / "p001.png").read_bytes())
    code, out, err = advtasks("evaluate", outputs, "--data", references, "--paired", *SMALL)
    assert code == 0, err
    assert "have no reference" not in out
    assert "1 references have several outputs, each of which counts: p001.png" in out
    Image.open(references / "p002.png").save(references / "p002.jpg")
    code, _, err = advtasks("evaluate", outputs, "--data", references, "--paired", *SMALL)
    assert (code, "have the same name: which one is meant is not clear" in err) == (1, True)


def test_a_measure_that_cannot_be_taken_leaves_the_others(tmp_path: Path) -> None:
    references, outputs = saved(tmp_path / "references", range(3)), saved(tmp_path / "outputs", range(3), noise=4)

    def picky(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        raise UsageError("too small")

    measures = [*pair_measures(4), PairMeasure("picky", "picky", False, picky)]
    card = paired_card(outputs, references, measures, torch.device("cpu"))
    assert card.score("psnr_y") is not None
    assert card.score("picky") is None
    assert any(text.startswith("picky: 3 of 3 pairs cannot be measured: ") for text in card.warnings)


def test_scores_are_seen_though_the_file_cannot_be_written(advtasks: Run, tmp_path: Path) -> None:
    references, outputs = saved(tmp_path / "references", range(3)), saved(tmp_path / "outputs", range(3), noise=4)
    (tmp_path / "file").touch()
    code, out, _ = advtasks("evaluate", outputs, "--data", references, "--paired", "--json", tmp_path / "file" / "x.json",
                            *SMALL)  # fmt: skip
    assert (code, "PSNR-Y" in out) == (1, True)


def test_pairs_are_measured_on_a_network_that_no_preset_trains_against(advtasks: Run, tmp_path: Path) -> None:
    outputs, references = (saved(tmp_path / name, range(2)) for name in ("outputs", "references"))
    code, out, err = advtasks("evaluate", outputs, "--data", references, "--paired", "--device", "cpu")
    assert code == 0, err
    assert "perceptual distance (efficientnet-lite2)" in out
