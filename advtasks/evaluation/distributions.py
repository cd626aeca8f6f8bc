"""How a folder of generated pictures compares with a folder of real ones: every metric from the same features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch

from advtasks.evaluation.cards import Score, ScoreCard
from advtasks.evaluation.diversity import pair_similarity
from advtasks.evaluation.doubts import doubts, enough
from advtasks.evaluation.folder_features import PATCH_SIDE, FolderFeatures
from advtasks.evaluation.frechet import FrechetReference, frechet_infinity
from advtasks.evaluation.inception_score import inception_score
from advtasks.evaluation.kid import gaussian, kernel_distance
from advtasks.evaluation.manifold import manifold
from advtasks.evaluation.modes import class_coverage
from advtasks.evaluation.moments import Moments
from advtasks.evaluation.sliced_wasserstein import patch_distance, sliced_wasserstein
from advtasks.evaluation.support import nearest, nearest_other, support_size
from advtasks.features import FeatureNetwork
from advtasks.features.weight_files import weights_hash

NEAREST, NEAREST_FOR_PRECISION = 5, 3
MEASURES = 2
"""Counts changes of what is computed here."""
LEAST = 16
"""Pictures below which nothing is measured."""
PAIRS = 50


def distribution_card(
    name: str,
    fake: FolderFeatures,
    real: FolderFeatures,
    network: FeatureNetwork,
    train: FolderFeatures | None = None,
    seed: int = 0,
    splits: int = 1,
) -> ScoreCard:
    """All scores of generated pictures.

    Args:
        network: that the features are from; metrics bear its name.
        train: pictures that the generator was trained on, where they are others than `real`: copies are looked for
            among them.
        splits: of the Inception score; the papers take 1 or 10.

    Raises:
        ValueError: fewer than :data:`LEAST` pictures on a side, or fewer than splits.
    """
    if min(len(fake.features), len(real.features)) < LEAST:
        raise ValueError(
            f"{len(fake.features)} generated and {len(real.features)} real pictures: {LEAST} of each are needed, and "
            f"{enough(fake)} for a Fréchet distance that is not mostly bias"
        )
    of = f"({network.name})"
    scores = [
        *_moments(fake, real, network, of, seed),
        *_neighborhoods(fake, real, of),
        *_classes(fake, real, network, of, splits),
        *_slices(fake, real, of, seed),
        *_variety(fake, real, train or real, seed),
    ]
    protocol = {
        "backbone": network.name,
        "weights sha256": weights_hash(network),
        "features": network.embeds,
        "resize": f"Pillow bicubic, antialiased, {network.side}x{network.side}; patches {PATCH_SIDE}x{PATCH_SIDE}",
        "real pictures": f"{len(real.features)}, sha256 {_set_hash(real)}",
        "training pictures": "the real ones" if train is None else f"{len(train.features)}, sha256 {_set_hash(train)}",
        "generated pictures": len(fake.features),
        "format of generated pictures": _formats(fake),
        "format of real pictures": _formats(real),
        "splits": splits,
        "seed": seed,
        "measures": MEASURES,
    }
    return ScoreCard(name, protocol, tuple(scores), tuple(doubts(fake, real, train)))


def _moments(
    fake: FolderFeatures, real: FolderFeatures, network: FeatureNetwork, of: str, seed: int
) -> Iterator[Score]:
    reference = FrechetReference(Moments.of(real.features))
    endless = frechet_infinity(fake.features, reference, seed=seed)
    frechet = network.published.get("frechet", f"Fréchet distance {of}")
    yield Score("frechet", frechet, reference.distance(Moments.of(fake.features)), False)
    yield Score("frechet_infinity", f"{frechet}, N to infinity", endless.value, False, endless.low, endless.high)
    kernel = kernel_distance(fake.features, real.features)
    label = network.published.get("kernel", f"kernel distance {of}")
    yield Score("kernel", label, kernel.value, False, kernel.low, kernel.high)
    one, other = (torch.nn.functional.normalize(side.features.double()) for side in (fake, real))
    smooth = kernel_distance(one, other, gaussian(10.0))
    label = f"Gaussian kernel distance x1000, as CMMD {of}"
    yield Score("gaussian_kernel", label, 1000 * smooth.value, False, 1000 * smooth.low, 1000 * smooth.high)


def _neighborhoods(fake: FolderFeatures, real: FolderFeatures, of: str) -> Iterator[Score]:
    found = manifold(real.features, fake.features, NEAREST, NEAREST_FOR_PRECISION)
    yield Score("precision", f"precision, k={NEAREST_FOR_PRECISION} {of}", found.precision, True)
    yield Score("recall", f"recall, k={NEAREST_FOR_PRECISION} {of}", found.recall, True)
    yield Score("density", f"density, k={NEAREST} {of}", found.density, True)
    yield Score("coverage", f"coverage, k={NEAREST} {of}", found.coverage, True)


def _classes(
    fake: FolderFeatures, real: FolderFeatures, network: FeatureNetwork, of: str, splits: int
) -> Iterator[Score]:
    if fake.logits is None or real.logits is None:
        return
    value, _ = inception_score(fake.logits.double().softmax(1), splits)
    label = network.published.get("inception_score", f"inception score on its classes {of}")
    yield Score("inception_score", label, value, True)
    seen = class_coverage(fake.logits.argmax(1), fake.logits.shape[1], real.logits.argmax(1))
    yield Score("classes", f"divergence of its classes from the real ones' {of}", seen.divergence, False)


def _slices(fake: FolderFeatures, real: FolderFeatures, of: str, seed: int) -> Iterator[Score]:
    distance = sliced_wasserstein(fake.features, real.features, seed=seed)
    yield Score("sliced_wasserstein", f"sliced Wasserstein distance {of}", distance, False)
    if fake.patches is not None and real.patches is not None:
        levels = patch_distance(fake.patches, real.patches, seed=seed)
        yield Score("patches", "sliced Wasserstein distance of patches x1000", sum(levels) / len(levels), False)


def _variety(fake: FolderFeatures, real: FolderFeatures, train: FolderFeatures, seed: int) -> Iterator[Score]:
    alike, usual = (pair_similarity(side.paths, PAIRS, seed) for side in (fake, real))
    label = f"MS-SSIM of {PAIRS} random pairs (real ones: {usual.value:.3f})"
    yield Score("pair_similarity", label, alike.value, False, alike.low, alike.high)
    apart = nearest_other(real.features)
    support = support_size(fake.features, float(apart.median()) / 2)
    yield Score("support", "different pictures by the birthday paradox, at least", support.size, True)
    close = nearest(fake.features, train.features)[0] < apart.quantile(0.01)
    label = "share closer to a training picture than 99 % of real ones are to each other"
    yield Score("copies", label, close.double().mean().item(), False)


def _formats(side: FolderFeatures) -> str:
    return ", ".join(f"{suffix[1:]}" for suffix, _ in sorted(side.formats.items()))


def _set_hash(side: FolderFeatures) -> str:
    return hashlib.sha256(" ".join(sorted(side.contents)).encode()).hexdigest()[:12]
