"""Captions as COCO keeps them: JSON files with ``images`` and ``annotations``. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advtasks.data.caption_tables import none_there
from advtasks.data.captioned import Reading
from advtasks.data.named_pictures import NamedPictures
from advtasks.data.text_file import read_text
from advtasks.errors import DataError


def read_coco(folder: Path, pictures: Sequence[Path], others: Sequence[Path]) -> Reading:
    """The captions of all such files; one of pictures that are not there at all is passed over.

    Raises:
        DataError: an image or annotation lacks what it needs, or a name fits several pictures.
    """
    passed: list[str] = []
    said: list[tuple[Path, str, str]] = []
    beside = {(path.parent, path.stem) for path in pictures}  # a file for each picture, such as img2dataset's
    for path in others:
        if path.suffix.lower() == ".json" and (path.parent, path.stem) not in beside:
            try:
                content = json.loads(read_text(path))
            except DataError as error:
                passed.append(str(error))
            except (ValueError, RecursionError) as error:
                passed.append(f"{path}: broken JSON ({error})")
            else:
                said += [(path, *one) for one in _said(path, content)]
    places = NamedPictures(folder, pictures).find([(path, name) for path, name, _ in said])
    pairs, lost = [], []
    for (path, name, caption), place in zip(said, places, strict=True):
        if place is not None:
            pairs.append((place, [caption]))
        else:
            lost.append((path, name))
    used = {path for (path, _, _), place in zip(said, places, strict=True) if place is not None}
    for path in sorted({path for path, _ in lost} - used):
        passed.append(none_there(str(path), [name for of, name in lost if of == path]))
    missing = sorted({f"{name} ({path.name})" for path, name in lost if path in used})
    return Reading("COCO captions", pairs, missing, passed)


def _said(path: Path, content: Any) -> list[tuple[str, str]]:
    """Names of files and captions; none of a file that is no COCO or has no captions, such as boxes."""
    if not isinstance(content, dict):
        return []
    images, annotations = content.get("images"), content.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        return []
    for number, annotation in enumerate(annotations, 1):
        if not isinstance(annotation, dict):
            raise DataError(f"{path}: annotation {number} is no JSON object")
    if not any("caption" in annotation for annotation in annotations):
        return []
    names = {}
    for number, image in enumerate(images, 1):
        if not isinstance(image, dict) or not isinstance(image.get("id"), int | str):
            raise DataError(f"{path}: image {number} has no id")
        if not isinstance(image.get("file_name"), str) or not image["file_name"].strip():
            raise DataError(f"{path}: image {number} has no file_name")
        names[image["id"]] = image["file_name"]
    said = []
    for number, annotation in enumerate(annotations, 1):
        if "caption" in annotation:
            image, caption = annotation.get("image_id"), annotation["caption"] or ""
            if not isinstance(image, int | str):
                raise DataError(f"{path}: annotation {number} has no image_id")
            if not isinstance(caption, str):
                raise DataError(f"{path}: annotation {number}: caption must be a text, not {json.dumps(caption)[:60]}")
            said.append((names.get(image, f"image {image}"), caption))
    return said
