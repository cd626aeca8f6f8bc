"""Score cards: folders against folders, what is refused, and what each metric sees."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from advtasks import components
from advtasks.data.cache import PictureCache
from advtasks.evaluation import folder_features as features_module
from advtasks.evaluation.cards import ScoreCard, check_comparable
from advtasks.evaluation.distributions import distribution_card
from advtasks.evaluation.folder_features import FolderFeatures, folder_features, resized
from advtasks.features import FeatureNetwork

PHOTOS = Path(__file__).parents[2] / "datasets" / "photos"


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """MS-SSIM of 50 pairs takes most of the time of small folders."""
    monkeypatch.setattr("advtasks.evaluation.distributions.PAIRS", 3)


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return components.build("features", "efficientnet-lite0:levels=2")


@pytest.fixture(scope="module")
def crops() -> list[Image.Image]:
    """Parts of real photographs, six of each of ten."""
    rng = np.random.default_rng(0)
    found = []
    for path in sorted(PHOTOS.rglob("*.jpg"))[:10]:
        with Image.open(path) as image:
            whole = image.convert("RGB")
        for _ in range(6):
            left, top = (int(rng.integers(side - 128)) for side in whole.size)
            found.append(whole.crop((left, top, left + 128, top + 128)))
    return found


def folder(place: Path, pictures: list[Image.Image], suffix: str = ".png") -> Path:
    place.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        picture.save(place / f"{number:03d}{suffix}")
    return place


def noisy(strength: float) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        rng = np.random.default_rng(1)
        values = np.asarray(picture) + rng.normal(0, 255 * strength, (*picture.size[::-1], 3))
        return Image.fromarray(values.clip(0, 255).astype(np.uint8))

    return change


def compressed(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def blurred(radius: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.filter(ImageFilter.GaussianBlur(radius))


def values(card: ScoreCard) -> dict[str, float]:
    return {score.name: score.value for score in card.scores}


def fewer(left: int) -> Callable[[list[Image.Image]], list[Image.Image]]:
    """The same number of pictures, of the first few with a little noise."""
    return lambda pictures: [varied(pictures[number % left], number) for number in range(len(pictures))]


def varied(picture: Image.Image, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, 2, (*picture.size[::-1], 3))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def each(change: Callable[[Image.Image], Image.Image]) -> Callable[[list[Image.Image]], list[Image.Image]]:
    return lambda pictures: [change(picture) for picture in pictures]


def tinted(gain: float) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        return Image.fromarray((np.asarray(picture) * [gain, 1, 1 / gain]).clip(0, 255).astype(np.uint8))

    return change


FARTHER = ("frechet", "frechet_infinity", "kernel", "gaussian_kernel", "sliced_wasserstein")
LADDERS = {
    "noise": ([each(noisy(s)) for s in (0.03, 0.1, 0.25)], (*FARTHER, "patches"), ("recall", "coverage")),
    "blur": ([each(blurred(s)) for s in (0.7, 1.5, 4)], (*FARTHER, "patches", "pair_similarity"), ("precision", "recall", "coverage")),
    "jpeg": ([each(compressed(s)) for s in (60, 20, 5)], FARTHER, ("recall", "coverage")),
    "colour": ([each(tinted(s)) for s in (1.25, 1.6, 2.2)], FARTHER, ("density",)),
    "lost modes": ([fewer(left) for left in (20, 6, 2)], ("frechet_infinity",), ("recall", "coverage", "support")),
}  # fmt: skip
"""Steps, the scores that rise with them, and those that fall: what the table of docs/evaluation.md claims."""


@pytest.mark.parametrize("name", LADDERS)
def test_each_score_orders_the_ladders_that_it_claims_to_see(
    name: str, crops: list[Image.Image], network: FeatureNetwork, tmp_path: Path
) -> None:
    steps, rising, falling = LADDERS[name]
    cache = PictureCache(tmp_path / "cache")
    real = folder_features(folder(tmp_path / "real", crops[::2]), network, cache)
    rows = []
    for number, change in enumerate([lambda pictures: pictures, *steps]):
        place = folder(tmp_path / f"{number}", change(crops[1::2]))
        rows.append(values(distribution_card("x", folder_features(place, network, cache), real, network)))
    for score in (*rising, *falling):
        series = [row[score] for row in rows]
        assert series == sorted(series, reverse=score in falling), f"{score}: {series}"
        assert series[0] != series[-1], score


def test_pictures_are_their_own_copies(side: FolderFeatures, network: FeatureNetwork) -> None:
    same = values(distribution_card("y", side, side, network))
    assert (same["precision"], same["recall"], same["coverage"], same["copies"]) == (1, 1, 1, 1)
    assert same["frechet"] == pytest.approx(0, abs=1e-3)


def test_copies_are_a_ladder_of_their_own(
    side: FolderFeatures, crops: list[Image.Image], network: FeatureNetwork, tmp_path: Path
) -> None:
    found = []
    for copied in (0, 5, 20):
        pictures = [varied(picture, 1) for picture in crops[:copied]] + crops[30 : 50 - copied]
        fake = folder_features(folder(tmp_path / f"{copied}", pictures), network, PictureCache(tmp_path / "cache"))
        found.append(values(distribution_card("x", fake, side, network))["copies"])
    assert found[0] <= 0.1
    assert 0.2 <= found[1] <= 0.35
    assert found[2] >= 0.9


def test_features_do_not_depend_on_batches_and_are_computed_once(
    crops: list[Image.Image], network: FeatureNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder(tmp_path / "real", crops[:20])
    (place / "broken.png").write_bytes(b"no picture")
    found = []
    for size in (1, 7, 32):
        monkeypatch.setattr(features_module, "BATCH", size)
        found.append(folder_features(place, network, PictureCache(tmp_path / f"cache{size}")))
    for other in found[1:]:
        torch.testing.assert_close(other.features, found[0].features, rtol=1e-4, atol=1e-4)
    assert found[0].sizes == {(128, 128): 20}
    assert "broken.png" in found[0].errors[0]
    monkeypatch.setattr(features_module, "read_picture", lambda path: pytest.fail("decoded again"))
    again = [path for path in place.iterdir() if path.name != "broken.png"]
    assert again
    (place / "broken.png").unlink()
    known = folder_features(place, network, PictureCache(tmp_path / "cache32"))
    assert torch.equal(known.features, found[2].features)


def test_resizing_is_pillows_antialiased_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (301, 177, 3), dtype=np.uint8)
    found = resized(pixels, 64)
    for channel in range(3):
        image = Image.fromarray(pixels[..., channel].astype(np.float32))
        expected = np.asarray(image.resize((64, 64), Image.Resampling.BICUBIC)) / 255
        assert np.abs(found[channel] - expected.clip(0, 1)).max() < 1e-6
    flat = resized(np.full((50, 80, 3), 200, np.uint8), 64)
    assert np.abs(flat - 200 / 255).max() < 1e-6


def test_folders_are_measured_by_the_command_and_cards_compared(
    advtasks, crops: list[Image.Image], tmp_path: Path
) -> None:
    real = folder(tmp_path / "real", crops[:30])
    good = folder(tmp_path / "good", [noisy(0.01)(p) for p in crops[30:54]])
    bad = folder(tmp_path / "bad", [blurred(4)(p) for p in crops[30:54]])
    backbone = ("--backbone", "efficientnet-lite0:levels=2")
    code, out, err = advtasks("evaluate", good, bad, "--data", real, "--json", tmp_path / "card.json", *backbone)
    assert code == 0, err
    for part in ("good", "bad", "Fréchet distance (efficientnet-lite0)", "kernel distance", "coverage, k=5", "to",
                 "24 generated pictures are few"):  # fmt: skip
        assert part in out
    cards = [tmp_path / f"card-{name}.json" for name in ("good", "bad")]
    one, other = (values(ScoreCard.load(card)) for card in cards)
    assert one["frechet"] < other["frechet"]
    code, out, _ = advtasks("compare", *cards)
    assert code == 0
    assert "good" in out
    assert "*" in out
    jpeg = folder(tmp_path / "jpeg", [noisy(0.01)(p) for p in crops[30:50]], ".jpg")
    code, out, _ = advtasks("evaluate", jpeg, "--data", real, "--json", tmp_path / "jpeg.json", *backbone)
    assert code == 0
    assert "compression is measured, too" in out
    code, _, err = advtasks("compare", cards[0], tmp_path / "jpeg.json")
    assert code == 2
    assert "cannot be compared" in err
    assert "generated pictures: 24 and 20" in err
    assert "format of generated pictures: PNG and JPEG" in err


def test_what_cannot_be_measured_is_said(advtasks, crops: list[Image.Image], tmp_path: Path) -> None:
    real = folder(tmp_path / "real", crops[:20])
    few = folder(tmp_path / "few", crops[:3])
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.json").write_text('{"a": 1}')
    for arguments, code, message in (
        (("evaluate", few, "--data", real), 2, "few: 3 generated and 20 real pictures: 16 of each are needed"),
        (("evaluate", tmp_path / "empty", "--data", real), 1, "empty: no pictures found"),
        (("evaluate", few, "--data", tmp_path / "none"), 1, "none: no such folder"),
        (("evaluate", "--data", real), 2, "name at least one model or folder"),
        (
            ("evaluate", few, tmp_path / "x.safetensors", "--data", real),
            2,
            "x.safetensors is not there: models and folders are",
        ),
        (("compare", tmp_path / "text.json"), 1, "text.json: not a score card"),
        (("compare",), 2, "two score cards or more"),
        (("compare", tmp_path / "text.json", tmp_path / "text.json"), 1, "text.json: not a score card"),
        (("compare", tmp_path / "no.json", tmp_path / "text.json"), 1, "no.json: cannot be read"),
    ):
        found, _, err = advtasks(*arguments, *(() if arguments[0] == "compare" else ("--backbone",
                                 "efficientnet-lite0:levels=2")))  # fmt: skip
        assert (found, message in err) == (code, True), (arguments, err)


class Nothing(FeatureNetwork):
    """Says NaN of dark pictures."""

    name = "nothing"

    def __init__(self) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        dark = pictures.mean((1, 2, 3), keepdim=True) < 0.1
        return [torch.where(dark, float("nan"), pictures)]


def test_nan_features_are_refused_with_their_file(crops: list[Image.Image], tmp_path: Path) -> None:
    place = folder(tmp_path / "some", [*crops[:3], Image.new("RGB", (20, 20))])
    found = folder_features(place, Nothing(), PictureCache(tmp_path / "cache"))
    assert found.features.shape == (3, 3)
    assert found.errors == (f"{place / '003.png'}: its features are not finite",)


@pytest.fixture(scope="module")
def side(crops: list[Image.Image], network: FeatureNetwork, tmp_path_factory: pytest.TempPathFactory) -> FolderFeatures:
    """Twenty crops."""
    place = tmp_path_factory.mktemp("side")
    return folder_features(folder(place / "a", crops[:20]), network, PictureCache(place / "cache"))


def test_cards_keep_all_they_say(side: FolderFeatures, network: FeatureNetwork, tmp_path: Path) -> None:
    broken = dataclasses.replace(side, errors=("x: broken",))
    card = distribution_card("x", broken, broken, network)
    assert card.code.startswith("advtasks ")
    assert any("files of the real ones" in warning for warning in card.warnings)
    assert any("could not be read" in warning for warning in card.warnings)
    card.save(tmp_path / "card.json")
    assert ScoreCard.load(tmp_path / "card.json") == card
    assert json.loads((tmp_path / "card.json").read_text())["protocol"]["seed"] == 0
    check_comparable([card, card])
