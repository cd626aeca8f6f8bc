"""Captioned folders as the data sets come, and broken ones: the right captions, or the reason."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from advtasks.data.captions import Captions, find_captions, recognize
from advtasks.errors import DataError


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(folder / name)
    return folder


def texts(folder: Path, **content: str) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def said(found: Captions, folder: Path) -> dict[str, tuple[str, ...]]:
    return {str(item.path.relative_to(folder)): item.captions for item in found.items}


def coco(*images: tuple[int, str], **captions: list[str]) -> str:
    """Captions by the image's number, written ``_7``."""
    content = {
        "images": [{"id": number, "file_name": name} for number, name in images],
        "annotations": [{"image_id": int(key[1:]), "caption": one} for key, some in captions.items() for one in some],
    }
    return json.dumps(content)


@pytest.mark.parametrize(("jpg", "text"), [("jpg", "text_c10"), ("images", "flowers_icml"), ("flowers", "text")])
def test_flowers_lie_flat_and_their_texts_by_class(jpg: str, text: str, tmp_path: Path) -> None:
    pictures(tmp_path, f"{jpg}/image_00001.jpg", f"{jpg}/image_00002.jpg", f"{jpg}/image_00003.jpg")
    texts(tmp_path, **{f"{text}/class_00001/image_00001.txt": "pink\n", f"{text}/class_00002/image_00002.txt": "blue\n",
                       f"{text}/class_00002/image_00009.txt": "gone\n", "trainclasses.txt": "class_00001\n"})  # fmt: skip
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {f"{jpg}/image_00001.jpg": ("pink",), f"{jpg}/image_00002.jpg": ("blue",)}
    assert found.missing == (f"{text}/class_00002/image_00009.txt",)


def test_a_name_that_is_there_twice_says_nothing_without_its_class(tmp_path: Path) -> None:
    pictures(tmp_path, "jpg/1.jpg", "jpg/2.jpg")
    texts(tmp_path, **{"text_c10/a/1.txt": "one", "text_c10/b/1.txt": "another", "text_c10/b/2.txt": "two"})
    assert said(find_captions(tmp_path), tmp_path) == {"jpg/2.jpg": ("two",)}


def test_a_bird_without_picture_is_missing_and_no_other_bird(tmp_path: Path) -> None:
    pictures(tmp_path, "images/001.A/x.jpg", "images/002.B/gone.jpg")
    texts(tmp_path, **{"text/001.A/x.txt": "a bird", "text/001.A/gone.txt": "lost", "text/003.C/y.txt": "lost",
                       "classes.txt": "1 001.A", "attributes/attributes.txt": "1 beak", "text/README.txt": "hi"})  # fmt: skip
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {"images/001.A/x.jpg": ("a bird",)}
    assert found.missing == ("text/001.A/gone.txt", "text/003.C/y.txt")
    assert recognize(tmp_path).problems[0] == "no such picture: text/001.A/gone.txt"


def test_of_two_splits_each_has_its_own_texts(tmp_path: Path) -> None:
    pictures(tmp_path, "train/images/1.jpg", "val/images/1.jpg")
    texts(tmp_path, **{"train/text/1.txt": "train", "val/text/1.txt": "val"})
    assert said(find_captions(tmp_path), tmp_path) == {
        "train/images/1.jpg": ("train",),
        "val/images/1.jpg": ("val",),
    }
    texts(tmp_path, **{"text/1.txt": "whose?"})
    with pytest.raises(DataError, match=r"text/1.txt may be of .*train/images/1.jpg or .*val/images/1.jpg"):
        find_captions(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("captions.csv", "image,caption\n1.jpg,red\n2.jpg,\"blue, deep\"\n"),
     ("captions.txt", "image,caption\n1.jpg,red\n2.jpg,\"blue, deep\"\n"),
     ("captions.txt", "\ufeffImage\tCaption\n1.jpg\tred\n2.jpg\tblue, deep\n"),
     ("lists/captions.csv", "image,caption\n../Images/1.jpg,red\n../Images/./2.jpg,\"blue, deep\"\n"),
     ("captions.csv", "image,caption\nC:\\data\\Images\\1.jpg,red\nC:\\data\\Images\\2.jpg,\"blue, deep\"\n"),
     ("captions.csv", "image,caption\n/home/me/flickr/1.jpg,red\n/home/me/flickr/2.jpg,\"blue, deep\"\n"),
     ("metadata.jsonl", '{"file_name": "1.jpg"}\n{"file_name": "1.jpg", "text": ["red", null]}\n'
                        '{"file_name": "2.jpg", "text": "blue, deep"}\n'),
     ("captions.csv", "image,caption,\n1.jpg,red,,\n2.jpg,\"blue, deep\",,\n")],
)  # fmt: skip
def test_a_table_finds_its_pictures(name: str, text: str, tmp_path: Path) -> None:
    pictures(tmp_path, "Images/1.jpg", "Images/2.jpg")
    texts(tmp_path, **{name: text})
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {"Images/1.jpg": ("red",), "Images/2.jpg": ("blue, deep",)}
    assert not found.missing


def test_a_table_of_other_pictures_is_named_with_them(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    texts(tmp_path, **{"captions.csv": "image,caption\n" + "".join(f"{number}.jpg,red\n" for number in range(9))})
    with pytest.raises(
        DataError, match=r"captions.csv: none of its 9 files is there: 0.jpg, 1.jpg, 2.jpg and 6 more\n"
    ):
        find_captions(tmp_path)
    texts(tmp_path, **{"a.txt": "red"})
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {"a.png": ("red",)}
    assert "passed over: table captions.csv: none of its 9 files" in found.summary()


def test_a_name_never_stands_for_the_picture_of_another_name(tmp_path: Path) -> None:
    pictures(tmp_path, "val/1.jpg", "other/2.jpg")
    texts(tmp_path, **{"captions.csv": "image,caption\nval/1.jpg,val\ntrain/1.jpg,train\na/2.jpg,x\nb/2.jpg,y\n"})
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {"val/1.jpg": ("val",)}
    assert [name.split()[0] for name in found.missing] == ["train/1.jpg", "a/2.jpg", "b/2.jpg"]


def test_a_table_means_all_its_names_alike(tmp_path: Path) -> None:
    """Where some names are found for sure, the others are of pictures that are not there, and not of their namesakes."""
    pictures(tmp_path / "colors", "red/1.png", "blue/2.png")
    texts(tmp_path / "colors", **{"a.csv": "image,caption\nred/1.png,red\ngreen/2.png,green\n"})
    found = find_captions(tmp_path / "colors")
    assert said(found, tmp_path / "colors") == {"red/1.png": ("red",)}
    assert len(found.missing) == 1
    pictures(tmp_path / "split", "train/1.png", "test/2.png")
    texts(tmp_path / "split", **{"train/metadata.csv": "file_name,text\n1.png,red\n2.png,blue\n"})
    assert said(find_captions(tmp_path / "split"), tmp_path / "split") == {"train/1.png": ("red",)}
    pictures(tmp_path / "classes", "images/birds/1.png")
    texts(tmp_path / "classes", **{"text/cats/1.txt": "a cat"})
    with pytest.raises(DataError, match="no captions"):
        find_captions(tmp_path / "classes")


def test_two_tables_may_name_one_picture_in_two_ways(tmp_path: Path) -> None:
    pictures(tmp_path, "Images/1.jpg")
    texts(tmp_path, **{"a.csv": "image,caption\nImages/1.jpg,one\n", "lists/b.csv": "image,caption\n1.jpg,two\n"})
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {"Images/1.jpg": ("one", "two")}
    assert not found.missing


@pytest.mark.parametrize(
    ("name", "text"),
    [("captions.csv", "image;caption\n1.jpg;a red, big apple\n"),
     ("results.csv", "image_name| comment_number| comment\n1.jpg| 0| a red, big apple\n"),
     ("captions.txt", '"image","caption"\n1.jpg,"a red, big apple"\n')],
)  # fmt: skip
def test_other_delimiters(name: str, text: str, tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    texts(tmp_path, **{name: text})
    assert said(find_captions(tmp_path), tmp_path) == {"1.jpg": ("a red, big apple",)}


def test_tables_of_other_columns_are_said_and_hide_nothing(tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    texts(tmp_path, **{"metadata.csv": "file_name,label\n1.jpg,3\n"})
    with pytest.raises(DataError, match=r"metadata.csv: has no columns of files and captions, but file_name, label"):
        find_captions(tmp_path)
    texts(tmp_path, **{"captions.csv": "image,caption\n1.jpg,red\n"})
    assert said(find_captions(tmp_path), tmp_path) == {"1.jpg": ("red",)}


@pytest.mark.parametrize("content", ["[" * 100_000, "9" * 5000])
@pytest.mark.parametrize("name", ["captions.json", "captions.jsonl"])
def test_json_that_python_cannot_read_is_named(name: str, content: str, tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    texts(tmp_path, **{name: content})
    with pytest.raises(DataError, match=name):
        find_captions(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("captions.csv", 'image,caption\na.png,red\na.png,"blue\nb.png,green\n', "row 2 is broken .*double quote"),
     ("captions.csv", "image,caption\na.png,\"" + "x" * 200_000, "row 1 is broken .*field limit"),
     ("captions.csv", "image,caption\na.png,red\na.png,a red, big apple\n", "row 2 has 3 cells and the header 2"),
     ("metadata.jsonl", '{"file_name": "a.png", "text": {"en": "red"}}', r'row 1: text must be .* not {"en": "red"}'),
     ("metadata.jsonl", '{"file_name": "a.png", "text": ["red", 3]}', "row 1: text must be .* not 3"),
     ("captions.jsonl", '{"file_name": "a.png", "text": "x"}\n{', "line 2 is broken"),
     ("captions.jsonl", "{", "line 1 is broken"),
     ("captions.csv", "image,caption\n,red\n", "row 1 names no file")],
)  # fmt: skip
def test_broken_tables_name_row_and_way_out(name: str, text: str, message: str, tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    texts(tmp_path, **{name: text})
    with pytest.raises(DataError, match=f"{name}: {message}"):
        find_captions(tmp_path)


def test_null_is_an_empty_caption(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    texts(tmp_path, **{"metadata.jsonl": '{"file_name": "a.png", "text": ["red", null]}'})
    found = find_captions(tmp_path)
    assert (said(found, tmp_path), found.empty) == ({"a.png": ("red",)}, 1)
    texts(tmp_path, **{"metadata.jsonl": '{"file_name": "a.png", "text": null}'})
    with pytest.raises(DataError, match="table metadata.jsonl: all captions are empty"):
        find_captions(tmp_path)


def test_coco_goes_by_the_whole_path(tmp_path: Path) -> None:
    pictures(tmp_path, "a/1.jpg", "b/1.jpg")
    texts(tmp_path, **{"captions.json": coco((1, "a/1.jpg"), (2, "b/1.jpg"), _1=["cat"], _2=["dog"])})
    assert said(find_captions(tmp_path), tmp_path) == {"a/1.jpg": ("cat",), "b/1.jpg": ("dog",)}
    texts(tmp_path, **{"captions.json": coco((1, "x/a/1.jpg"), (2, "x/b/1.jpg"), _1=["cat"], _2=["dog"])})
    assert said(find_captions(tmp_path), tmp_path) == {"a/1.jpg": ("cat",), "b/1.jpg": ("dog",)}
    texts(tmp_path, **{"captions.json": coco((1, "1.jpg"), _1=["cat"])})
    with pytest.raises(DataError, match=r"captions.json: 1.jpg may be .*a/1.jpg or .*b/1.jpg"):
        find_captions(tmp_path)


def test_coco_in_several_files(tmp_path: Path) -> None:
    pictures(tmp_path, "train2017/1.jpg", "val2017/2.jpg")
    texts(tmp_path, **{"annotations/captions_train2017.json": coco((1, "1.jpg"), _1=["cat"]),
                       "annotations/captions_val2017.json": "\ufeff" + coco((2, "2.jpg"), _2=["dog"]),
                       "annotations/captions_test2017.json": coco((3, "3.jpg"), _3=["gone"]),
                       "annotations/instances_val2017.json": json.dumps({"images": [{}], "annotations": [{"bbox": [1]}]}),
                       "annotations/captions_cut.json": '{"images": ['})  # fmt: skip
    found = find_captions(tmp_path)
    assert said(found, tmp_path) == {"train2017/1.jpg": ("cat",), "val2017/2.jpg": ("dog",)}
    assert not found.missing
    assert "captions_cut.json: broken JSON" in found.summary()
    assert "captions_test2017.json: none of its 1 files is there: 3.jpg" in found.summary()


@pytest.mark.parametrize(
    ("content", "message"),
    [({"images": [{"file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "x"}]}, "image 1 has no id"),
     ({"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "x"}]}, "image 1 has no file_name"),
     ({"images": ["1.jpg"], "annotations": [{"image_id": 1, "caption": "x"}]}, "image 1 has no id"),
     ({"images": [], "annotations": [{"caption": "x"}]}, "annotation 1 has no image_id"),
     ({"images": [], "annotations": [{}, 3]}, "annotation 2 is no JSON object"),
     ({"images": [], "annotations": [{"image_id": 1, "caption": {"en": "x"}}]}, "annotation 1: caption must be a text")],
)  # fmt: skip
def test_broken_coco_is_named(content: object, message: str, tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    texts(tmp_path, **{"captions.json": json.dumps(content)})
    with pytest.raises(DataError, match=f"captions.json: {message}"):
        find_captions(tmp_path)


def test_broken_json_alone_is_the_reason(tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    texts(tmp_path, **{"captions.json": "{"})
    with pytest.raises(
        DataError, match=r"1 pictures and no captions\n.*captions.json: broken JSON(.|\n)*--captions names"
    ):
        find_captions(tmp_path)


def test_captions_are_shared_by_pictures_and_not_within_one(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    texts(tmp_path, **{"a.txt": "red apple\nRed apple.\n", "b.txt": "green\n"})
    assert "several pictures" not in find_captions(tmp_path).summary()
    texts(tmp_path, **{"b.txt": "Red  apple\n", "c.txt": "red apple\n"})
    found = find_captions(tmp_path)
    assert found.shared() == [("Red apple.", 3)]
    assert "1 captions are said of several pictures" in found.summary()


def test_file_names_that_say_nothing(tmp_path: Path) -> None:
    pictures(tmp_path, "0001.png")
    with pytest.raises(DataError, match=r"no file name says anything, such as 0001.png"):
        find_captions(tmp_path, from_names=True)


def test_texts_inside_an_archive(tmp_path: Path) -> None:
    made = pictures(tmp_path / "made", "1.jpg") / "1.jpg"
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "0.tar", "w") as archive:
        archive.add(made, "1.jpg")
        text = tarfile.TarInfo("1.txt")
        text.size = 3
        archive.addfile(text, io.BytesIO(b"red"))
    found = find_captions(tmp_path / "shards")
    assert [item.captions for item in found.items] == [("red",)]
