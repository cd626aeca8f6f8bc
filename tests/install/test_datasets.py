"""The shipped emoji sets are what their manifests say, and their makers make sets like them."""

from __future__ import annotations

import hashlib
import importlib
import io
import itertools
import json
import statistics
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_fill_holes

DATASETS = Path(__file__).parents[2] / "datasets"
LIMIT = 4 * 2**20
SQUARE = '<path fill="{}" d="M4 4h24v24H4z"/>'


def shipped(name: str) -> tuple[Path, dict]:
    folder = DATASETS / name
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= LIMIT
    licences = (folder / "LICENSES.md").read_text(encoding="utf-8")
    assert "Copyright (c) Microsoft Corporation." in licences
    assert "Permission is hereby granted" in licences
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert all(source["licence"] == "MIT" and source["version"] for source in manifest["sources"])
    return folder, manifest


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shape(picture: np.ndarray) -> np.ndarray:
    """What is not white, holes filled."""
    return binary_fill_holes((picture if picture.ndim == 2 else picture.min(axis=2)) < 250)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return float((first & second).sum() / (first | second).sum())


def test_shipped_pairs_are_whole_and_lie_on_each_other() -> None:
    folder, manifest = shipped("pairs")
    rows = manifest["pictures"]
    assert len(rows) >= 300
    expected = {f"{row['split']}{side}/{row['name']}.png" for row in rows for side in "AB"}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")} == expected
    assert 0.05 < sum(row["split"] == "val" for row in rows) / len(rows) < 0.15
    shapes = []
    for row in rows:
        a, b = (folder / f"{row['split']}{side}" / f"{row['name']}.png" for side in "AB")
        assert (sha256(a), sha256(b)) == (row["sha256_A"], row["sha256_B"]), row["name"]
        with Image.open(a) as line, Image.open(b) as colour:
            assert (line.mode, colour.mode) == ("L", "RGB")
            assert line.size == colour.size == (manifest["size"], manifest["size"])
            shapes.append((shape(np.asarray(line)), shape(np.asarray(colour))))
        assert shapes[-1][0].any()
        assert shapes[-1][1].any()
    overlaps = [overlap(line, colour) for line, colour in shapes]
    assert sum(value > 0.5 for value in overlaps) >= 0.95 * len(overlaps)
    wrong = [overlap(line, colour) for (line, _), (_, colour) in itertools.pairwise(shapes)]
    assert statistics.median(overlaps) > 0.8 > 0.7 > statistics.median(wrong)


def test_shipped_emoji_have_captions() -> None:
    folder, manifest = shipped("emoji")
    assert "UNICODE LICENSE V3" in (folder / "LICENSES.md").read_text(encoding="utf-8")
    assert sha256(folder / "metadata.jsonl") == manifest["metadata_sha256"]
    said = [json.loads(line) for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    files = [row["file_name"] for row in said]
    assert len(files) >= 600
    assert files == [row["file"] for row in manifest["pictures"]]
    assert set(files) == {path.name for path in folder.glob("*.png")}
    for row, entry in zip(said, manifest["pictures"], strict=True):
        assert sha256(folder / entry["file"]) == entry["sha256"], row
        with Image.open(folder / entry["file"]) as picture:
            assert (picture.mode, picture.size) == ("RGB", (64, 64))
            assert picture.getextrema() != ((255, 255), (255, 255), (255, 255))
        assert 1 <= len(row["text"]) <= 2
        assert all(caption.strip() == caption != "" for caption in row["text"])
        assert row["category"]
        assert row["kind"]
    assert len({row["text"][0] for row in said}) == len(said)
    assert len({entry["sha256"] for entry in manifest["pictures"]}) == len(said)


def test_the_table_of_the_data_sets_counts_right() -> None:
    table = (DATASETS / "README.md").read_text(encoding="utf-8")
    counts = json.loads((DATASETS / "pairs" / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert f"{counts['train']} to train, {counts['val']} to validate" in table
    rows = [json.loads(line) for line in (DATASETS / "emoji" / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert f"{len(rows)} pictures, {sum(len(row['text']) for row in rows)} captions" in table


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of datasets/ as `python datasets/NAME.py` would."""
    monkeypatch.syspath_prepend(str(DATASETS))
    yield importlib.import_module
    for name in ("make_pairs", "make_emoji", "fluent_emoji"):
        sys.modules.pop(name, None)


def registry(folder: Path) -> Path:
    """Packages like those of the registry, with four emoji: one unpacked, the others as npm pack writes them."""
    icons = {name: {"body": SQUARE.format(colour)} for name, colour in [("dog-face", "#a52"), ("man-cook", "#fff")]}
    icons |= {"waving-hand": {"body": SQUARE.format("#fd0")}, "waving-hand-dark": {"body": SQUARE.format("#530")}}
    icons |= {"same-drawing": icons["waving-hand"], "swan": {"body": SQUARE.format("#eee"), "height": 33}}
    lines = {name: {"body": f'<g fill="currentColor" id="{name}"/>'} for name in icons if name != "waving-hand-dark"}
    flat = {
        "package.json": {"name": "@iconify-json/fluent-emoji-flat", "version": "9.0.0", "license": "MIT"},
        "icons.json": {"height": 32, "icons": icons},
        "metadata.json": {"categories": {"Animals": ["dog-face", "swan"]}},
        "chars.json": {"1f436": "dog-face", "1f44b": "waving-hand", "1f44b-1f3ff": "waving-hand-dark"},
    }
    line = {
        "package.json": {"name": "@iconify-json/fluent-emoji-high-contrast", "version": "9.0.1", "license": "MIT"},
        "icons.json": {"height": 32, "icons": lines},
        "metadata.json": {},
    }
    dark = {"hexcode": "1F44B-1F3FF", "label": "waving hand: dark skin tone"}
    names = {
        "package.json": {"name": "emojibase-data", "version": "9.0.2", "license": "MIT"},
        "LICENSE": "MIT\n\nCopyright (c) somebody\n",
        "en/messages.json": {
            "groups": [{"order": 0, "key": "animals-nature", "message": "animals & nature"}],
            "subgroups": [{"order": 5, "key": "animal-mammal"}, {"order": 6, "key": "hand-prop"}],
        },
        "en/data.json": [
            {"hexcode": "1F436", "label": "dog face", "tags": ["dog", "pet", "143"], "group": 0, "subgroup": 5},
            {"hexcode": "1F44B", "label": "“waving” hand", "tags": ["pet", "once"], "group": 0, "subgroup": 6}
            | {"skins": [dark]},
        ],
    }
    unpacked = folder / "node_modules" / "@iconify-json" / "fluent-emoji-flat"
    unpacked.mkdir(parents=True)
    for file, content in flat.items():
        (unpacked / file).write_text(json.dumps(content))
    for name, files in (("iconify-json-fluent-emoji-high-contrast", line), ("emojibase-data", names)):
        with tarfile.open(folder / f"{name}-9.0.0.tgz", "w:gz") as archive:
            for file, content in files.items():
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                member = tarfile.TarInfo(f"package/{file}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return folder


class Drawn:
    """A renderer for tests: grey, and counts; `stop` interrupts it."""

    def __init__(self) -> None:
        self.drawings: list[str] = []
        self.stop = 0

    def __call__(self, drawing: str, side: int) -> Image.Image:
        self.drawings.append(drawing)
        if len(self.drawings) == self.stop:
            raise KeyboardInterrupt
        return Image.new("RGB", (side, side), (9, 99, 199))


def test_pairs_are_made_and_gone_on_with(tmp_path: Path, maker: Callable[[str], ModuleType]) -> None:
    module, draw = maker("make_pairs"), Drawn()
    fluent, packages, out = sys.modules["fluent_emoji"], registry(tmp_path / "packages"), tmp_path / "out"
    wanted = ("icons.json", "metadata.json")
    line, flat = (fluent.package(name, wanted, packages) for name in (fluent.LINE, fluent.FLAT))
    draw.stop = 4
    with pytest.raises(KeyboardInterrupt):
        module.make(line, flat, out, 16, False, draw)
    assert not (out / "manifest.json").exists()
    draw.stop = 0
    assert module.make(line, flat, out, 16, False, draw) == 4  # waving-hand is drawn as same-drawing is
    assert len(draw.drawings) == 9  # the interrupted one twice
    assert all("currentColor" not in drawing for drawing in draw.drawings)
    assert sum('viewBox="-0.5 0 33 33"' in drawing for drawing in draw.drawings) == 2  # both sides of the swan
    manifest = json.loads((out / "manifest.json").read_text())
    assert [source["version"] for source in manifest["sources"]] == ["9.0.1", "9.0.0"]
    assert [row["name"] for row in manifest["pictures"]] == ["dog-face", "man-cook", "same-drawing", "swan"]
    for row in manifest["pictures"]:
        assert sha256(out / f"{row['split']}B" / f"{row['name']}.png") == row["sha256_B"]
    assert not list(out.rglob(".*"))
    with pytest.raises(SystemExit, match="other settings"):
        module.make(line, flat, out, 32, False, draw)
    with pytest.raises(SystemExit, match="not empty"):
        module.make(line, flat, packages, 16, False, draw)


def test_people_of_one_kind_are_on_one_side(maker: Callable[[str], ModuleType]) -> None:
    module = maker("make_pairs")
    kinds = [f"kind-{number}" for number in range(200)]
    for kind in kinds:
        assert len({module.split(f"{who}-{kind}") for who in ("man", "woman", "person")} | {module.split(kind)}) == 1
    assert 5 < sum(module.split(kind) == "val" for kind in kinds) < 40
    assert module.split("man") == module.split("woman")
    assert module.sample(kinds, 30) == module.sample(kinds[::-1], 30) == sorted(module.sample(kinds, 30))


def test_emoji_are_made_with_captions(tmp_path: Path, maker: Callable[[str], ModuleType]) -> None:
    module = maker("make_emoji")
    fluent, packages, out = sys.modules["fluent_emoji"], registry(tmp_path / "packages"), tmp_path / "out"
    flat = fluent.package(fluent.FLAT, ("icons.json", "chars.json"), packages)
    names = fluent.package(fluent.NAMES, module.NAME_FILES, packages)
    assert module.make(flat, names, out, 16, False, True, Drawn()) == 3
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["file_name"], row["text"]) for row in rows] == [
        ("1f436.png", ["dog face", "dog face, pet"]),
        ("1f44b.png", ["waving hand", "waving hand, pet"]),
        ("1f44b-1f3ff.png", ["waving hand, dark skin tone", "waving hand, dark skin tone, pet"]),
    ]
    assert (rows[0]["category"], rows[0]["kind"]) == ("animals & nature", "animal-mammal")
    assert "Copyright (c) somebody" in (out / "LICENSES.md").read_text(encoding="utf-8")
    assert module.make(flat, names, tmp_path / "plain", 16, False, False, Drawn()) == 2
    assert module.make(flat, names, tmp_path / "sample", 16, True, True, Drawn()) == 1


def test_what_is_missing_is_said(
    tmp_path: Path, maker: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker("make_pairs")
    fluent = sys.modules["fluent_emoji"]
    with pytest.raises(SystemExit, match="emojibase-data is not in this folder"):
        fluent.package(fluent.NAMES, ("LICENSE",), tmp_path)
    (tmp_path / "emojibase-data-9.0.0.tgz").write_bytes(b"half a download")
    with pytest.raises(SystemExit, match="is broken"):
        fluent.package(fluent.NAMES, ("LICENSE",), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="npm is not installed"):
        fluent.package(fluent.NAMES, ("LICENSE",), None)
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(SystemExit, match="pip install resvg-py"):
        fluent.resvg()


def test_the_real_renderer_draws_on_white(maker: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("resvg_py", reason="the makers' renderer, no dependency of the project")
    maker("make_pairs")
    fluent = sys.modules["fluent_emoji"]
    icons = {"height": 32, "icons": {"square": {"body": SQUARE.format("currentColor")}}}
    picture = fluent.resvg()(fluent.svg(icons, "square", 32), 32)
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    assert (picture.getpixel((0, 0)), picture.getpixel((16, 16))) == ((255, 255, 255), (0, 0, 0))
