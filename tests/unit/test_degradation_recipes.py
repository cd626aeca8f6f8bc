"""Recipes in YAML: presets, own files, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.degradations import PRESETS, load_recipe, to_json

from advtasks.errors import UsageError


def test_presets_are_shipped_and_survive_json() -> None:
    assert set(PRESETS) == {"realesrgan", "photo", "blur"}
    for name in PRESETS:
        found = load_recipe(name)
        assert found is not None
        assert load_recipe(to_json(found)) == found
    assert load_recipe("bicubic") is None


def test_realesrgan_has_the_constants_of_its_training_file() -> None:
    found = load_recipe("realesrgan")
    assert found is not None
    first, second = found.passes
    for part in found.passes:
        assert list(part.blur.shapes.weights().values()) == [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
        assert (part.blur.sinc, part.blur.sizes, part.blur.cutoff) == (0.1, (7, 21), (0.2, 1.0))
        assert (part.blur.generalized_beta, part.blur.plateau_beta) == ((0.5, 4), (1, 2))
        assert (part.noise.probability, part.noise.gaussian, part.noise.grey) == (1, 0.5, 0.4)
        assert (part.jpeg.probability, part.jpeg.quality) == (1, (30, 95))
        assert part.resize.modes == ("area", "bilinear", "bicubic")
    assert (first.blur.probability, first.blur.sigma) == (1, (0.2, 3))
    assert (second.blur.probability, second.blur.sigma) == (0.8, (0.2, 1.5))
    assert (first.noise.sigma, first.noise.strength) == ((1, 30), (0.05, 3))
    assert (second.noise.sigma, second.noise.strength) == ((1, 25), (0.05, 2.5))
    assert (found.final.sinc, found.final.jpeg_last, found.final.cutoff) == (0.8, 0.5, (1 / 3, 1))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("passes: [{blurr: {}}]", ("passes.0.blurr", "unknown field", "did you mean 'blur'")),
        ("passes: [{blur: {sigmaa: [1, 2]}}]", ("passes.0.blur.sigmaa", "did you mean 'sigma'")),
        ("passes: [{}, {blur: {sigma: [3, 1]}}]", ("passes.1.blur", "sigma is a range [low, high]", "[3, 1]")),
        ("passes: [{blur: {sizes: [7, 20]}}]", ("passes.0.blur", "odd numbers")),
        ("passes: [{blur: {shapes: {isotropic: 0}}}]", ("passes.0.blur", "shapes needs one above 0")),
        ("passes: [{resize: {factors: [0.5, 0.8]}}]", ("passes.0.resize", "factors must include 1")),
        ("passes: [{resize: {modes: [lanczos]}}]", ("passes.0.resize.modes.0", "'area'")),
        ("passes: [{noise: {gaussian: 2}}]", ("passes.0.noise", "gaussian is a share")),
        ("passes: [{jpeg: {quality: [0, 50]}}]", ("passes.0.jpeg", "quality is a range", "from 1 to 100")),
        ("passes: [{jpeg: {quality: best}}]", ("passes.0.jpeg.quality",)),
        ("passes: []", ("passes needs at least one",)),
        ("{}", ("passes",)),
        ("passes: [{}]\nfinal: {sinc: 7}", ("final", "sinc is a share")),
        ("passes: [{}]\nmargin: -1", ("margin must be at least 0",)),
        ("- 3", ("expected fields with values",)),
    ],
)
def test_mistakes_name_file_and_field(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_recipe(str(file))
    for part in (str(file), *parts):
        assert part in str(error.value)


def test_unknown_names_and_missing_files() -> None:
    with pytest.raises(UsageError, match="did you mean 'realesrgan'"):
        load_recipe("real-esrgan")
    with pytest.raises(UsageError, match=r"none\.yaml"):
        load_recipe("none.yaml")
    with pytest.raises(UsageError, match="degradation: not JSON"):
        load_recipe("{passes")


def test_a_path_stays_valid_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert SuperResolutionConfig(degradation="mine.yaml").degradation == str(tmp_path / "mine.yaml")


@pytest.mark.parametrize("value", [(0.0, 1.0), (0.8, 0.5), (0.5, 1.5)])
def test_random_scale_only_shrinks(value: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="random_scale"):
        SuperResolutionConfig(random_scale=value)


def test_the_recipe_in_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "super_resolution.md").read_text()
    (tmp_path / "mine.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    found = load_recipe(str(tmp_path / "mine.yaml"))
    assert found is not None
    assert found.passes[0].resize.factors == (0.5, 1)
