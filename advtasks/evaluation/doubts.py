"""What keeps the scores of folders from saying what they seem to say."""

from __future__ import annotations

from collections import Counter

from advtasks.evaluation.copies import neighbors, repeated
from advtasks.evaluation.folder_features import FolderFeatures
from advtasks.evaluation.frechet import needed_for_interval

_PER_DIMENSION = 10
"""Pictures a dimension below which a Fréchet distance is mostly bias."""
_ONE_CLASS = 0.9
"""Share of one class from which a folder has no others to speak of."""
_FEW = 50


def enough(side: FolderFeatures) -> int:
    """Pictures that the Fréchet distance on these features wants."""
    return _PER_DIMENSION * side.features.shape[1]


def doubts(fake: FolderFeatures, real: FolderFeatures, train: FolderFeatures | None = None) -> list[str]:
    """Sentences, the gravest first."""
    return [
        *_numbers(fake, real),
        *_files(fake, real),
        *compression(fake.formats, real.formats),
        *_values(fake, real),
        *_doubles(fake, real, train),
    ]


def _numbers(fake: FolderFeatures, real: FolderFeatures) -> list[str]:
    found = []
    for side, which in ((fake, "generated"), (real, "real")):
        count, dimensions = side.features.shape
        if count < _FEW:
            found.append(f"{count} {which} pictures are very few: every score moves much with the next ones")
        if count < enough(side):
            found.append(
                f"{count} {which} pictures are few for {dimensions} dimensions: the Fréchet distance is biased upwards "
                f"below about {enough(side)}; the kernel distances are not"
            )
        if count < needed_for_interval(dimensions):
            found.append(
                f"{count} {which} pictures are too few for an interval of the Fréchet distance in {dimensions} "
                f"dimensions: it needs {needed_for_interval(dimensions)}, and so does the extrapolation"
            )
        if side.logits is not None and count >= _FEW:
            most = side.logits.argmax(1).bincount().max().item() / count
            if most > _ONE_CLASS:
                found.append(
                    f"{most:.0%} of the {which} pictures are of one class to the backbone: the inception score says "
                    "nothing of them"
                )
    return found


def _files(fake: FolderFeatures, real: FolderFeatures) -> list[str]:
    found = []
    for side, which in ((fake, "generated"), (real, "real")):
        if side.errors:
            found.append(f"{len(side.errors)} {which} files could not be read: {side.errors[0]}")
        if len(set(side.contents)) < len(side.contents):
            found.append(f"{len(side.contents) - len(set(side.contents))} {which} files are there twice")
        if len(side.sizes) > 1:
            found.append(f"the {which} pictures have {len(side.sizes)} sizes: all were resized to one square")
    areas = [max(side.sizes, key=lambda size: side.sizes[size]) for side in (fake, real)]
    if areas[0] != areas[1]:
        sizes = [f"{width}x{height}" for width, height in areas]
        found.append(
            f"most generated pictures are {sizes[0]}, most real ones {sizes[1]}: what resizing does is measured, too"
        )
    return found


def _values(fake: FolderFeatures, real: FolderFeatures) -> list[str]:
    if fake.ranges is None or real.ranges is None:
        return []
    found = []
    for side, which in ((fake.ranges, "generated"), (real.ranges, "real")):
        darkest, brightest = int(side[:, 0].min()), int(side[:, 1].max())
        if brightest < 128 or darkest > 127:
            found.append(
                f"all values of the {which} pictures lie between {darkest} and {brightest} of 255: were they "
                "saved in another value range ([-1, 1] or [0, 1] as bytes)?"
            )
        flat = int((side[:, 0] == side[:, 1]).sum())
        if flat:
            found.append(f"{flat} {which} pictures are of one single value")
    return found


def _doubles(fake: FolderFeatures, real: FolderFeatures, train: FolderFeatures | None) -> list[str]:
    found = []
    for side, which in ((real, "real"), (train, "training")):
        if side is not None and (same := set(fake.contents) & set(side.contents)):
            found.append(f"{len(same)} generated pictures are files of the {which} ones")
    if train is not None:
        close = int(repeated(real, train, neighbors(real, train)).sum())
        if close:
            found.append(
                f"{close} real pictures are (nearly) training pictures: the scores reward what was learnt by heart"
            )
    return found


def compression(one: Counter[str], other: Counter[str]) -> list[str]:
    """Of the formats of two sets of pictures."""
    if _lossy(one) == _lossy(other):
        return []
    return ["one side is stored with loss (JPEG, WebP, AVIF) and the other is not: compression is measured, too"]


def _lossy(formats: Counter[str]) -> bool:
    return 2 * sum(formats[name] for name in ("JPEG", "WEBP", "AVIF")) > formats.total()
