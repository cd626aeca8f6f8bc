"""Captioned folders, in each layout, and what is wrong with some."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from advtasks.data.captions import Captions, find_captions, from_name, normalized, recognize
from advtasks.errors import DataError


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)
    return path


def said(found: Captions) -> dict[str, tuple[str, ...]]:
    return {item.path.name: item.captions for item in found.items}


def test_a_table_of_json_lines_with_lists(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "c.png"):
        picture(tmp_path / name)
    rows = [{"file_name": "a.png", "text": ["red", "dark  red", "red"]}, {"file_name": "sub/b.png", "text": "blue"},
            {"file_name": "gone.png", "text": "x"}, {"file_name": "a.png", "text": "  "}]  # fmt: skip
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    found = find_captions(tmp_path)
    assert found.name == "table metadata.jsonl"
    assert said(found) == {"a.png": ("red", "dark red"), "b.png": ("blue",)}
    assert [path.name for path in found.uncaptioned] == ["c.png"]
    assert found.missing == ("gone.png (metadata.jsonl, row 3)",)
    assert found.empty == 1
    assert "2 pictures with 3 captions of 1 to 2 words" in found.summary()
    layout = recognize(tmp_path)
    assert layout.problems == ("no such picture: gone.png (metadata.jsonl, row 3)",)
    assert layout.roles["pictures without a caption"] == found.uncaptioned


@pytest.mark.parametrize(
    ("name", "text"),
    [("metadata.csv", "file_name,text\na.png,red\nb.png,\"blue, deep\"\n"),
     ("captions.csv", "image,caption\na.png,red\nb.png,\"blue, deep\"\n"),
     ("list.tsv", "path\tcaption\na.png\tred\nb.png\tblue, deep\n"),
     ("metadata.csv", "\ufeffFile_Name,Text\na.png,red\nb.png,\"blue, deep\"\n")],
)  # fmt: skip
def test_tables(name: str, text: str, tmp_path: Path) -> None:
    for one in ("a.png", "b.png"):
        picture(tmp_path / one)
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert said(find_captions(tmp_path)) == {"a.png": ("red",), "b.png": ("blue, deep",)}


def test_several_rows_of_a_file_are_several_captions(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text("image,caption\na.png,red\na.png,dark\n")
    assert said(find_captions(tmp_path)) == {"a.png": ("red", "dark")}


def test_coco(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "7.jpg")
    content = {"images": [{"id": 7, "file_name": "7.jpg"}, {"id": 8, "file_name": "8.jpg"}],
               "annotations": [{"image_id": 7, "caption": "a dog"}, {"image_id": 7, "caption": "an animal"},
                               {"image_id": 8, "caption": "gone"}]}  # fmt: skip
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions.json").write_text(json.dumps(content))
    found = find_captions(tmp_path)
    assert found.name == "COCO captions"
    assert said(found) == {"7.jpg": ("a dog", "an animal")}
    assert found.missing == ("8.jpg (captions.json)",)


def test_text_files_beside_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    (tmp_path / "a.txt").write_text("red\ndark red\n\n")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "d.txt").write_text("gone")
    (tmp_path / "README.txt").write_text("hello")
    found = find_captions(tmp_path)
    assert said(found) == {"a.png": ("red", "dark red")}
    assert {path.name for path in found.uncaptioned} == {"b.png", "c.png"}
    assert found.missing == ("d.txt",)
    assert found.empty == 2


def test_birds_have_their_texts_elsewhere(tmp_path: Path) -> None:
    for name in ("001.Albatross/x_1.jpg", "002.Auklet/x_1.jpg"):
        picture(tmp_path / "images" / name)
        text = tmp_path / "text_c10" / Path(name).with_suffix(".txt")
        text.parent.mkdir(parents=True)
        text.write_text(f"a bird of {name[:3]}\nit flies\n")
    found = find_captions(tmp_path)
    assert [item.captions[0] for item in found.items] == ["a bird of 001", "a bird of 002"]
    assert found.name == "texts in a folder of their own"


def test_names_when_asked(tmp_path: Path) -> None:
    for name in ("red_apple-2.png", "Old   house 13.png"):
        picture(tmp_path / name)
    with pytest.raises(DataError, match="--captions names if red_apple"):
        find_captions(tmp_path)
    found = find_captions(tmp_path, from_names=True)
    assert said(found) == {"Old   house 13.png": ("Old house",), "red_apple-2.png": ("red apple",)}
    assert from_name(Path("7.png")) == ""
    assert normalized(" A  red Apple. ") == "a red apple"


@pytest.mark.parametrize(
    ("text", "message"),
    [(b'{"file_name": "a.png"', "not JSON lines"), (b"[1]\n", "line 1 is no JSON object"),
     (b'{"file_name": 3, "text": "x"}\n', "row 1 names no file"), (b"\xff\xfe\x00", "not text in UTF-8")],
)  # fmt: skip
def test_broken_tables_are_named(text: bytes, message: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_bytes(text)
    with pytest.raises(DataError, match=message) as error:
        find_captions(tmp_path)
    assert "metadata.jsonl" in str(error.value)
    with pytest.raises(DataError, match=message):
        recognize(tmp_path)


@pytest.mark.parametrize("layout", ["table", "beside", "parallel"])
def test_accents_that_were_taken_apart_are_the_letters_of_texts(layout: str, tmp_path: Path) -> None:
    """Archives of some systems write e and an accent where a table has one letter."""
    one, two = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    assert one != two
    picture(tmp_path / ("pictures/red" if layout == "parallel" else "") / f"{two}.png")
    if layout == "table":
        (tmp_path / "metadata.csv").write_text(f"file_name,text\n{one}.png,coffee\n", encoding="utf-8")
    else:
        text = tmp_path / ("words/red" if layout == "parallel" else "") / f"{one}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("coffee")
    assert [item.captions for item in find_captions(tmp_path).items] == [("coffee",)]
