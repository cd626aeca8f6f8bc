"""``advtasks data check`` on captioned folders: what it names, and why a folder has no captions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


def pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("metadata.jsonl", b"{", "metadata.jsonl: line 1 is broken"),
     ("a.txt", "ein Bär".encode("latin-1"), "a.txt: not text in UTF-8"),
     ("captions.csv", b"image,caption\nx.jpg,red\n", "captions.csv: none of its 1 files is there: x.jpg"),
     ("captions.json", b"{", "captions.json: broken JSON"),
     ("notes.md", b"", "1 pictures and no captions. Understood are")],
)  # fmt: skip
def test_the_reason_is_said(advtasks: Run, name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (pictures(tmp_path, "a.png") / name).write_bytes(content)
    code, out, err = advtasks("data", "check", tmp_path, "--task", "text2image")
    assert code == 1, err
    assert "text2image: nothing that this task can train on: " in out
    assert reason in out
    code, out, err = advtasks("data", "check", tmp_path)
    assert code == (name == "metadata.jsonl"), "only pix2pix reads that table, too, and no other task needs captions"
    assert reason in out


def test_pictures_without_and_captions_of_several(advtasks: Run, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(13)]
    rows = [{"file_name": name, "text": ["red", "Red."]} for name in names[:3]]
    (pictures(tmp_path, *names) / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, err = advtasks("data", "check", tmp_path, "--task", "text2image")
    assert code == 0, err
    assert "without a caption: 10.png, 11.png, 12.png, 3.png, 4.png, 5.png, 6.png, 7.png and 2 more" in out
    assert "said of several pictures: 'Red.' (3)" in out


def test_names_as_captions(advtasks: Run, tmp_path: Path) -> None:
    pictures(tmp_path, "red_apple.png", "blue_box.png")
    assert advtasks("data", "check", tmp_path, "--task", "text2image")[0] == 1
    code, out, err = advtasks("data", "check", tmp_path, "--task", "text2image", "--captions", "names")
    assert code == 0, err
    assert "text2image: file names: 2 pictures with 2 captions of 2 to 2 words" in out
    code, _, err = advtasks("data", "check", tmp_path, "--captions", "names")
    assert code == 2
    assert "--captions is an option of the task text2image: give --task text2image, too" in err
    code, _, err = advtasks("data", "check", tmp_path, "--task", "sr", "--captions=names")
    assert code == 2
    assert "--captions=names is an option of the task text2image: leave it out, or give --task text2image" in err
    code, out, _ = advtasks("data", "check", "--help", "--task", "text2image")
    assert code == 0
    assert "red_apple.png is a red apple" in " ".join(out.split()), "options of a task are explained as in its training"


def test_captions_that_are_too_long_for_an_encoder(advtasks: Run, tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "a.txt").write_text("red " * 400)
    (tmp_path / "b.txt").write_text("blue")
    check = "data", "check", tmp_path, "--task", "text2image", "--encoder"
    code, out, err = advtasks(*check, "characters")
    assert code == 0, err
    assert "1 of 2 captions are longer than characters" in out
    assert "tokens of 'red red" in out
    code, out, err = advtasks(*check, "hash")
    assert code == 0, err
    assert "no caption is longer than hash" in out
    code, _, err = advtasks(*check, "hsh")
    assert code == 2
    assert "did you mean 'hash'" in err
