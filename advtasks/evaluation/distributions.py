"""How a folder of generated pictures compares with a folder of real ones: every metric from the same features."""

from __future__ import annotations

import hashlib

import torch

from advtasks.evaluation.cards import Score, ScoreCard
from advtasks.evaluation.folder_features import SIDE, FolderFeatures
from advtasks.evaluation.frechet import frechet_distance, frechet_infinity
from advtasks.evaluation.kid import kernel_distance
from advtasks.evaluation.manifold import manifold
from advtasks.evaluation.moments import Moments

NEAREST, NEAREST_FOR_PRECISION = 5, 3
MEASURES = 1
"""Counts changes of what is computed here."""
LEAST = 16
"""Pictures below which nothing is measured."""
_PER_DIMENSION = 10
"""Pictures a dimension below which a Fréchet distance is mostly bias."""


def distribution_card(
    name: str, fake: FolderFeatures, real: FolderFeatures, backbone: str, weights: str, seed: int = 0
) -> ScoreCard:
    """All scores of generated pictures.

    Args:
        backbone: name of the network that the features are from; metrics bear it.
        weights: its hash.

    Raises:
        ValueError: fewer than :data:`LEAST` pictures on a side, or features that are no numbers.
    """
    if min(len(fake.features), len(real.features)) < LEAST:
        raise ValueError(
            f"{len(fake.features)} generated and {len(real.features)} real pictures: {LEAST} of each are needed"
        )
    of_fake, of_real = Moments.of(fake.features), Moments.of(real.features)
    endless = frechet_infinity(fake.features, of_real, seed=seed)
    kernel = kernel_distance(fake.features, real.features)
    found = manifold(real.features, fake.features, NEAREST, NEAREST_FOR_PRECISION)
    nearest = torch.cat([torch.cdist(part, real.features).amin(1) for part in fake.features.split(1024)])
    among = torch.cdist(real.features[:2048], real.features[:2048]).fill_diagonal_(float("inf")).amin(1)
    close = (nearest < among.quantile(0.01)).double().mean().item()
    scores = (
        Score("frechet", f"Fréchet distance ({backbone})", frechet_distance(of_fake, of_real), False),
        Score("frechet_infinity", f"Fréchet distance, N to infinity ({backbone})", endless.value, False, endless.low,
              endless.high),
        Score("kernel", f"kernel distance ({backbone})", kernel.value, False, kernel.low, kernel.high),
        Score("precision", f"precision, k={NEAREST_FOR_PRECISION} ({backbone})", found.precision, True),
        Score("recall", f"recall, k={NEAREST_FOR_PRECISION} ({backbone})", found.recall, True),
        Score("density", f"density, k={NEAREST} ({backbone})", found.density, True),
        Score("coverage", f"coverage, k={NEAREST} ({backbone})", found.coverage, True),
        Score("copies", "share closer to a real picture than 99 % of those are to each other", close, False),
    )  # fmt: skip
    protocol = {
        "backbone": backbone,
        "weights sha256": weights,
        "features": "deepest, averaged over the picture",
        "resize": f"Pillow bicubic, antialiased, {SIDE}x{SIDE}",
        "real pictures": f"{len(real.features)}, sha256 {_set_hash(real)}",
        "generated pictures": len(fake.features),
        "format of generated pictures": _formats(fake),
        "format of real pictures": _formats(real),
        "seed": seed,
        "measures": MEASURES,
    }
    return ScoreCard(name, protocol, scores, tuple(_warnings(fake, real)))


def _warnings(fake: FolderFeatures, real: FolderFeatures) -> list[str]:
    found = []
    dimensions = fake.features.shape[1]
    enough = _PER_DIMENSION * dimensions
    for side, which in ((fake, "generated"), (real, "real")):
        if len(side.features) < enough:
            found.append(
                f"{len(side.features)} {which} pictures are few for {dimensions} dimensions: the Fréchet distance is "
                f"biased upwards below about {enough}; its extrapolation and the kernel distance are less so, or not"
            )
        if side.errors:
            found.append(f"{len(side.errors)} {which} files could not be read: {side.errors[0]}")
        if len(set(side.contents)) < len(side.contents):
            found.append(f"{len(side.contents) - len(set(side.contents))} {which} files are there twice")
    if lossy(fake) != lossy(real):
        found.append(
            "one side is stored with loss (JPEG, WebP, AVIF) and the other is not: compression is measured, too"
        )
    same = set(fake.contents) & set(real.contents)
    if same:
        found.append(f"{len(same)} generated pictures are files of the real ones")
    areas = [max(side.sizes, key=lambda size: side.sizes[size]) for side in (fake, real)]
    if areas[0] != areas[1]:
        sizes = [f"{width}x{height}" for width, height in areas]
        found.append(
            f"most generated pictures are {sizes[0]}, most real ones {sizes[1]}: what resizing does is measured, too"
        )
    return found


def lossy(side: FolderFeatures) -> bool:
    """Whether most files are stored with loss."""
    return 2 * (side.formats[".jpg"] + side.formats[".webp"] + side.formats[".avif"]) > len(side.contents)


def _formats(side: FolderFeatures) -> str:
    return ", ".join(f"{suffix[1:]}" for suffix, _ in sorted(side.formats.items()))


def _set_hash(side: FolderFeatures) -> str:
    return hashlib.sha256(" ".join(sorted(side.contents)).encode()).hexdigest()[:12]
