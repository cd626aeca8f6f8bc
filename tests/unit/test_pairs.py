"""Which folders translation recognises, what it makes of them, and what it says about files that do not pair."""

from __future__ import annotations

import json
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
from advtasks_pix2pix.layouts import find_pairs, recognize
from advtasks_pix2pix.pairing import Pairs
from PIL import Image

from advtasks.errors import DataError


def made(folder: Path, *names: str, size: tuple[int, int] = (16, 12)) -> Path:
    """Pictures, each of its own values."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size[1], size[0], 3), number * 7 % 256, np.uint8)).save(path)
    return folder


def told(pairs: Pairs, folder: Path) -> dict[str, list[tuple[str, str]]]:
    """What was paired, by split: input and target as relative names."""
    return {
        split: [
            (pair.input.path.relative_to(folder).as_posix() if pair.input else "", str(pair.target.path.name))
            for pair in getattr(pairs, split)
        ]
        for split in ("train", "validation", "test")
        if getattr(pairs, split)
    }


SPLIT = {"train": [("trainA/1.png", "1.png"), ("trainA/2.png", "2.png")], "validation": [("valA/3.png", "3.png")]}


NAMES: list[tuple[list[str], str, dict[str, list[tuple[str, str]]]]] = [
    (["A/1.png", "A/2.png", "B/1.png", "B/2.jpg"], "folders",
     {"train": [("A/1.png", "1.png"), ("A/2.png", "2.jpg")]}),
    (["trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png", "valA/3.png", "valB/3.png"], "folders", SPLIT),
    (["train/A/1.png", "train/B/1.png", "test/A/2.png", "test/B/2.png"], "folders",
     {"train": [("train/A/1.png", "1.png")], "test": [("test/A/2.png", "2.png")]}),
    (["train_A/x/1.png", "train_B/x/1.png", "train_A/y/1.png", "train_B/y/1.png"], "folders",
     {"train": [("train_A/x/1.png", "1.png"), ("train_A/y/1.png", "1.png")]}),
    (["train_label/1_label.png", "train_img/1_img.jpg", "train_inst/1.png"], "folders",
     {"train": [("train_label/1_label.png", "1_img.jpg")]}),
    (["input/1.png", "target/1.png"], "folders", {"train": [("input/1.png", "1.png")]}),
    (["photo/1.png", "sketch/1.png"], "folders", {"train": [("sketch/1.png", "1.png")]}),
    (["gtFine/train/x/a_gtFine_labelIds.png", "gtFine/train/x/a_gtFine_color.png",
      "gtFine/train/x/a_gtFine_instanceIds.png", "leftImg8bit/train/x/a_leftImg8bit.png"], "folders",
     {"train": [("gtFine/train/x/a_gtFine_labelIds.png", "a_leftImg8bit.png")]}),
    (["x_A.png", "x_B.png", "y_A.png", "y_B.png"], "pairs by ending",
     {"train": [("x_A.png", "x_B.png"), ("y_A.png", "y_B.png")]}),
    (["x_input.png", "x_seg.png"], "pairs by ending", {"train": [("x_input.png", "x_seg.png")]}),
    (["x_line.png", "x_original.png"], "pairs by ending", {"train": [("x_line.png", "x_original.png")]}),
    (["train/x-flat.png", "train/x-line.png", "val/y-flat.png", "val/y-line.png"], "pairs by ending",
     {"train": [("train/x-line.png", "x-flat.png")], "validation": [("val/y-line.png", "y-flat.png")]}),
]  # fmt: skip
"""Files, the layout, and the pairs of each split."""


@pytest.mark.parametrize(("files", "name", "expected"), NAMES)
def test_pairs_by_names(tmp_path: Path, files: list[str], name: str, expected: dict) -> None:
    pairs = find_pairs(made(tmp_path, *files))
    assert pairs.name.startswith(name)
    assert told(pairs, tmp_path) == expected
    assert not pairs.problems


def test_the_direction_turns_every_pair(tmp_path: Path) -> None:
    made(tmp_path, "A/1.png", "B/1.png")
    assert told(find_pairs(tmp_path, direction="BtoA"), tmp_path) == {"train": [("B/1.png", "1.png")]}
    pair = find_pairs(tmp_path, direction="BtoA").train[0]
    assert pair.target.path.parent.name == "A"


def test_pictures_of_both_sides(tmp_path: Path) -> None:
    made(tmp_path, "train/1.jpg", "train/2.jpg", "val/3.jpg", size=(24, 12))
    pairs = find_pairs(tmp_path)
    assert pairs.name == "side by side"
    assert [(pair.input.half, pair.target.half) for pair in pairs.train if pair.input] == [("left", "right")] * 2
    assert len(pairs.validation) == 1
    turned = find_pairs(tmp_path, direction="BtoA").train[0]
    assert turned.input is not None
    assert (turned.input.half, turned.target.half) == ("right", "left")


def test_an_odd_width_holds_no_two_pictures(tmp_path: Path) -> None:
    made(tmp_path, "1.png", "2.png", size=(25, 12))
    problems = find_pairs(tmp_path, "ab").problems
    assert len(problems) == 2
    assert "1.png: 25 pixels wide, an odd number" in problems[0]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_tables_with_two_columns_of_paths(tmp_path: Path, kind: str) -> None:
    made(tmp_path, "a/1.png", "b/9.png", "a/2.png", "b/8.png", "spare.png")
    rows = [
        {"text": "one", "edges": "a/1.png", "file_name": "b/9.png", "split": "train"},
        {"text": "two", "edges": "a/2.png", "file_name": "b/8.png", "split": "val"},
    ]
    if kind == "jsonl":
        (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        (tmp_path / "pairs.csv").write_text(
            "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]), encoding="utf-8-sig"
        )
    pairs = find_pairs(tmp_path)
    assert pairs.name == "table"
    assert told(pairs, tmp_path) == {"train": [("a/1.png", "9.png")], "validation": [("a/2.png", "8.png")]}
    assert [path.name for path in pairs.ignored] == ["spare.png"]


def test_what_a_table_names_and_is_not_there_is_a_problem(tmp_path: Path) -> None:
    made(tmp_path, "1.png", "2.png")
    (tmp_path / "metadata.csv").write_text("input,target\n1.png,2.png\n1.png,gone.png\n")
    pairs = find_pairs(tmp_path)
    assert len(pairs.train) == 1
    assert "metadata.csv, row 2" in pairs.problems[0]
    assert "gone.png does not exist" in pairs.problems[0]
    (tmp_path / "metadata.csv").write_bytes(b"input,target\n\xff\xfe\n")
    with pytest.raises(DataError, match="metadata.csv: not text in UTF-8"):
        find_pairs(tmp_path)


def test_orphans_duplicates_and_other_sizes_are_named(tmp_path: Path) -> None:
    made(tmp_path, "A/1.png", "B/1.png", "A/only.png", "A/2.png", "B/2.png", "B/2.jpg", "A/3.png")
    made(tmp_path, "B/3.png", size=(32, 24))
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs.train] == ["1", "2"]
    found = "\n".join(pairs.problems)
    assert "only.png: no partner of that name on side B" in found
    assert "2.png and" in found
    assert "have the same name" in found
    assert "3.png is 16x12 and its partner" in found
    assert "32x24: not of one size" in found
    assert len(pairs.problems) == 3


def test_any_pictures_with_a_maker(tmp_path: Path) -> None:
    made(tmp_path, "one.png", "val/two.png")
    with pytest.raises(DataError, match="--make-input"):
        find_pairs(tmp_path)
    pairs = find_pairs(tmp_path, made=True)
    assert told(pairs, tmp_path) == {"train": [("", "one.png")], "validation": [("", "two.png")]}


def test_one_broken_file_among_pairs_is_left_to_the_decoder(tmp_path: Path) -> None:
    made(tmp_path, "1.png", "2.png", size=(24, 12))
    (tmp_path / "3.png").write_bytes(b"broken")
    pairs = find_pairs(tmp_path)
    assert pairs.name == "side by side"
    assert len(pairs.train) == 3
    assert not pairs.problems


def test_folders_without_pictures(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError):
            find_pairs(folder)
    assert recognize(tmp_path) is None


def test_data_check_explains(advtasks, tmp_path: Path) -> None:
    made(tmp_path, "trainA/1.png", "trainB/1.png", "valA/2.png", "valB/2.png", "trainA/lost.png")
    code, out, _ = advtasks("data", "check", tmp_path, "--task", "pix2pix")
    assert code == 1
    for part in (
        "pix2pix: folders of both sides: pairs of equal name: ",
        "A is trainA, B is trainB; A is the input (--direction BtoA turns it); A: pictures of 3 channels, 8 bit; B: ",
        "train, A: 1",
        "validation, B: 1",
        "lost.png: no partner of that name on side B",
    ):
        assert part in out
    (tmp_path / "trainA/lost.png").unlink()
    assert advtasks("data", "check", tmp_path, "--task", "pix2pix")[0] == 0
    code, out, _ = advtasks("data", "check", made(tmp_path / "plain", "a.png", "b.png"), "--task", "pix2pix")
    assert code == 0
    assert "every picture is a target" in out


def test_data_check_knows_label_maps_and_what_is_wrong_with_them(advtasks, tmp_path: Path) -> None:
    made(tmp_path, "img/1.jpg", "img/2.jpg")
    for name, values in (("1.png", [[0, 1], [2, 4]]), ("2.png", [[3, 1], [2, 2]])):
        (tmp_path / "label").mkdir(exist_ok=True)
        Image.fromarray(np.array(values, np.uint8).repeat(6, 0).repeat(8, 1)).save(tmp_path / "label" / name)
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    code, out, _ = advtasks("data", "check", tmp_path)
    assert code == 0
    assert "A: label maps of 5 classes (sky, road); B: pictures of 3 channels, 8 bit" in out
    assert "points" not in out, "a task that needs no folder has nothing to say"
    (tmp_path / "label/2.png").unlink()
    made(tmp_path, "label/2.jpg")
    code, out, _ = advtasks("data", "check", tmp_path, "--task", "pix2pix")
    assert code == 1
    assert "problem:" in out
    assert "label/2.jpg: a label map as JPEG" in out


def test_a_stray_picture_is_named_and_does_not_hide_the_pairs(tmp_path: Path) -> None:
    folders = made(tmp_path / "folders", "A/1.png", "A/2.png", "B/1.png", "B/2.png", "preview.png")
    endings = made(tmp_path / "endings", *(f"{name}_{side}.png" for name in "xyz" for side in "AB"), "preview.png")
    double = made(tmp_path / "double", "1.png", "2.png", "3.png", "4.png", size=(24, 12))
    made(double, "preview.png", size=(30, 12))
    for folder, pairs in ((folders, 2), (endings, 3), (double, 4)):
        found = find_pairs(folder)
        assert len(found.train) == pairs, folder.name
        assert not found.problems
        assert [path.name for path in found.ignored] == ["preview.png"]
        assert "; not used, since" in found.explanation
        assert found.explanation.endswith("preview.png")
    with pytest.raises(DataError, match="no pairs recognised"):
        find_pairs(made(tmp_path / "many", "x_A.png", "x_B.png", "y.png", "z.png"))


def test_data_check_says_that_pictures_alone_need_a_maker(tmp_path: Path) -> None:
    layout = recognize(made(tmp_path, "one.png", "two.png"))
    assert layout is not None
    assert "no pairs were recognised, so training needs --make-input" in layout.explanation


def test_a_letter_says_more_than_a_word(tmp_path: Path) -> None:
    pairs = find_pairs(made(tmp_path, "images_A/1.png", "images_B/1.png"))
    assert told(pairs, tmp_path) == {"train": [("images_A/1.png", "1.png")]}


def test_a_table_may_name_pictures_elsewhere(tmp_path: Path) -> None:
    photos = made(tmp_path / "elsewhere", "photo/1.png", "label/1.png")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "pairs.csv").write_text(f"input,target\n{photos}/label/1.png,{photos}/photo/1.png\n")
    pairs = find_pairs(folder)
    assert [pair.target.path for pair in pairs.train] == [photos / "photo/1.png"]
    layout = recognize(folder)
    assert layout is not None
    assert "A: label maps" in layout.explanation, "words of the folder that is named count"


def test_of_several_tables_those_of_pairs_are_taken(tmp_path: Path) -> None:
    made(tmp_path, *(f"{number}.png" for number in range(4)))
    (tmp_path / "labels.csv").write_text("0,sky\n1,road\n")
    (tmp_path / "notes.csv").write_text("name,text\nx,y\n")
    (tmp_path / "pairs.csv").write_text("input,target\n0.png,1.png\n")
    pairs = find_pairs(tmp_path)
    assert told(pairs, tmp_path) == {"train": [("0.png", "1.png")]}
    (tmp_path / "pairs.csv").rename(tmp_path / "train.csv")
    (tmp_path / "val.csv").write_text("input,target\n2.png,3.png\n")
    assert told(find_pairs(tmp_path), tmp_path) == {"train": [("0.png", "1.png")], "validation": [("2.png", "3.png")]}


@pytest.mark.parametrize("row", ['["1.png", "2.png"]', "3", "{"])
def test_rows_that_are_no_objects_are_named(tmp_path: Path, row: str) -> None:
    made(tmp_path, "1.png", "2.png")
    (tmp_path / "metadata.jsonl").write_text('{"input": "1.png", "target": "2.png"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"metadata.jsonl: line 2"):
        find_pairs(tmp_path)
    layout = recognize(tmp_path)
    assert layout is not None
    assert "metadata.jsonl: line 2" in layout.problems[0], "data check says what train says"


def test_data_check_reads_what_only_tiff_holds(advtasks, tmp_path: Path) -> None:
    for number in range(2):
        values = np.random.default_rng(number).normal(size=(20, 30, 5)).astype(np.float32)
        for side, dtype in (("A", np.float32), ("B", np.uint8)):
            (tmp_path / side).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / f"{side}/{number}.tif", values.astype(dtype), planarconfig="contig")
    code, out, err = advtasks("data", "check", tmp_path, "--task", "pix2pix", "--sheet", tmp_path / "sheet.jpg")
    assert code == 0, out + err
    assert "2 of 5 channels (float32), 2 of 5 channels (uint8)" in out
    assert "A: pictures of 5 channels, floating point; B: pictures of 5 channels, 8 bit" in out
    assert (tmp_path / "sheet.jpg").stat().st_size > 0
    (tmp_path / "A/0.tif").write_bytes((tmp_path / "A/0.tif").read_bytes()[:900])
    code, out, _ = advtasks("data", "check", tmp_path, "--task", "pix2pix")
    assert code == 1
    assert "A/0.tif: cannot be decoded" in out


@pytest.mark.parametrize(
    ("files", "inputs"),
    [
        (["images/A/1.png", "images/B/1.png"], "images/A/1.png"),
        (["A/photo/1.png", "B/photo/1.png"], "A/photo/1.png"),
        (["A/set-b/1.png", "B/set-b/1.png"], "A/set-b/1.png"),
        (["photos/input/1.png", "photos/target/1.png"], "photos/input/1.png"),
        (["sketches/1.png", "photos/1.png"], "sketches/1.png"),
    ],
)
def test_folders_that_both_sides_have_say_nothing(tmp_path: Path, files: list[str], inputs: str) -> None:
    assert told(find_pairs(made(tmp_path, *files)), tmp_path) == {"train": [(inputs, "1.png")]}


def test_equal_names_pair_before_endings_are_looked_at(tmp_path: Path) -> None:
    pairs = find_pairs(made(tmp_path, *(f"{side}/0_{end}.png" for side in "AB" for end in "ab")))
    assert told(pairs, tmp_path) == {"train": [("A/0_a.png", "0_a.png"), ("A/0_b.png", "0_b.png")]}
    assert not pairs.problems


def test_composed_and_decomposed_letters_are_one_name(tmp_path: Path) -> None:
    made(tmp_path, "A/\u00e9.png", "B/e\u0301.png")
    assert len(find_pairs(tmp_path).train) == 1


def test_the_folder_that_says_the_side_is_named(tmp_path: Path) -> None:
    pairs = find_pairs(made(tmp_path, "labels/train/1.png", "images/train/1.png"))
    assert "A is labels, B is images" in pairs.explanation


def test_of_both_sides_inputs_are_made_of_targets_alone(tmp_path: Path) -> None:
    made(tmp_path, "A/1.png", "B/1.png", "A/other.png", "B/2.png")
    pairs = find_pairs(tmp_path, made=True)
    assert told(pairs, tmp_path) == {"train": [("", "1.png"), ("", "2.png")]}
    assert not pairs.problems, "a target needs no partner"
    assert {pair.target.path.parent.name for pair in pairs.train} == {"B"}
    turned = find_pairs(tmp_path, made=True, direction="BtoA")
    assert {pair.target.path.parent.name for pair in turned.train} == {"A"}


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
def test_tables_of_any_separator_and_with_spaces(tmp_path: Path, between: str, quote: str) -> None:
    made(tmp_path, "1.png", "2.png", "3.png", "4.png")
    rows = [["target", " input", "split"], ["1.png", " 2.png", "train"], ["3.png", " 4.png", " dev"]]
    (tmp_path / "pairs.csv").write_text(
        "\n".join(between.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
    )
    expected = {"train": [("2.png", "1.png")], "validation": [("4.png", "3.png")]}
    assert told(find_pairs(tmp_path), tmp_path) == expected


def test_a_split_that_is_not_known_is_a_problem(tmp_path: Path) -> None:
    made(tmp_path, "1.png", "2.png", "3.png", "4.png")
    (tmp_path / "metadata.csv").write_text("input,target,split\n1.png,2.png,train\n3.png,4.png,fold7\n")
    pairs = find_pairs(tmp_path)
    assert len(pairs.train) == 1
    assert "row 2: split 'fold7' is none of train" in pairs.problems[0]


def test_data_check_takes_the_options_of_training(advtasks, tmp_path: Path) -> None:
    values = np.zeros((16, 16), np.uint8)
    for number in range(3):
        values[number:, :4] = (number, 255)[number == 2]
        for side in ("label", "photo"):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / side / f"{number}.png")
    code, out, _ = advtasks("data", "check", tmp_path, "--task", "pix2pix")
    assert code == 1
    assert "--ignore-label 255" in out
    code, out, _ = advtasks("data", "check", tmp_path, "--task", "pix2pix", "--ignore-label", "255")
    assert code == 0, out
    assert "255 is no class" in out
    code, _, err = advtasks("data", "check", tmp_path, "--task", "sr", "--ignore-label", "255")
    assert code == 2
    assert "--ignore-label is an option of the task pix2pix: leave it out, or give --task pix2pix" in err
    code, _, err = advtasks("data", "check", tmp_path, "--task", "pix2pix", "--classes", "300")
    assert code == 2
    assert "classes are 0 to 256" in err


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_finds_files_whose_accents_were_taken_apart(packed: bool, tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    (tmp_path / "raw").mkdir()
    for name in (f"{two}-a.png", f"{two}-b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "raw" / name)
    table = f"input_image,edited_image\n{one}-a.png,{one}-b.png\n"
    (tmp_path / "raw" / "metadata.csv").write_text(table, encoding="utf-8")
    folder = tmp_path / "raw"
    if packed:
        folder = tmp_path / "set"
        folder.mkdir()
        with tarfile.open(folder / "0.tar", "w") as archive:
            for path in (tmp_path / "raw").iterdir():
                archive.add(path, path.name)
    pairs = find_pairs(folder)
    assert pairs.problems == ()
    assert [(pair.input.path.name, pair.target.path.name) for pair in pairs.train] == [(f"{two}-a.png", f"{two}-b.png")]
