"""How a folder of generated pictures compares with a folder of real ones: every metric from the same features."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from advtasks.evaluation.cards import Score, ScoreCard, set_hash
from advtasks.evaluation.copies import Neighbors, apart, neighbors, repeated
from advtasks.evaluation.diversity import pair_similarity
from advtasks.evaluation.doubts import doubts, enough
from advtasks.evaluation.folder_features import PATCH_SIDE, PATCHED, FolderFeatures
from advtasks.evaluation.frechet import frechet_estimates
from advtasks.evaluation.inception_score import inception_estimate
from advtasks.evaluation.intervals import Estimate, mean_interval, share_interval
from advtasks.evaluation.kid import gaussian, kernel_distance
from advtasks.evaluation.manifold import manifold
from advtasks.evaluation.modes import class_coverage
from advtasks.evaluation.sliced_wasserstein import PYRAMID, patch_distance, sliced_wasserstein
from advtasks.evaluation.support import support_size
from advtasks.features import FeatureNetwork
from advtasks.features.weight_files import preprocessing, weights_hash

NEAREST, NEAREST_FOR_PRECISION = 5, 3
MEASURES = 4
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
    near: Neighbors | None = None,
    watch: Callable[[str, int, int], None] = lambda what, done, count: None,
) -> ScoreCard:
    """All scores of generated pictures.

    Args:
        network: that the features are from; metrics bear its name.
        train: pictures that the generator was trained on, where they are others than `real`: copies are looked for
            among them.
        splits: of the Inception score; the papers take 1 or 10.
        near: :func:`advtasks.evaluation.copies.neighbors` of the fakes among the training pictures, where they are
            known.
        watch: told of progress.

    Raises:
        ValueError: fewer than :data:`LEAST` pictures on a side, or fewer than splits.
    """
    if min(len(fake.features), len(real.features)) < LEAST:
        raise ValueError(
            f"{len(fake.features)} generated and {len(real.features)} real pictures: {LEAST} of each are needed, and "
            f"{enough(fake)} for a Fréchet distance that is not mostly bias"
        )
    of = f"({network.name})"
    near = near or neighbors(fake, train or real)
    groups = (
        _moments(fake, real, network, of, seed),
        _kernels(fake, real, network, of),
        _neighborhoods(fake, real, of),
        _classes(fake, real, network, of, splits),
        _slices(fake, real, of, seed),
        _variety(fake, real, train or real, seed, near),
    )
    scores: list[Score] = []
    for number, group in enumerate(groups, 1):
        scores += group
        watch(f"scores of {name}", number, len(groups) + 1)
    found = doubts(fake, real, train)
    watch(f"scores of {name}", len(groups) + 1, len(groups) + 1)
    protocol = _protocol(fake, real, network, train) | {"splits": splits, "seed": seed, "measures": MEASURES}
    return ScoreCard(name, protocol, tuple(scores), tuple(found))


def _protocol(
    fake: FolderFeatures, real: FolderFeatures, network: FeatureNetwork, train: FolderFeatures | None
) -> dict[str, object]:
    return {
        "backbone": network.name,
        "weights sha256": weights_hash(network),
        "features": network.embeds,
        "normalized by": preprocessing(network),
        "resize": f"Pillow bicubic, antialiased, {network.side}x{network.side}; patches {PATCH_SIDE}x{PATCH_SIDE}",
        "patches": f"of at most {PATCHED} pictures, pyramid {PYRAMID}",
        "real pictures": f"{len(real.features)}, sha256 {set_hash(real.contents)}",
        "training pictures": "the real ones"
        if train is None
        else f"{len(train.features)}, sha256 {set_hash(train.contents)}",
        "split": "not stated: the real pictures may be those of training"
        if train is None
        else "real pictures beside the training pictures",
        "generated pictures": len(fake.features),
        "format of generated pictures": ", ".join(sorted(fake.formats)),
        "format of real pictures": ", ".join(sorted(real.formats)),
    }


def _moments(
    fake: FolderFeatures, real: FolderFeatures, network: FeatureNetwork, of: str, seed: int
) -> Iterator[Score]:
    label = network.published.get("frechet", f"Fréchet distance {of}")
    finite, endless = frechet_estimates(fake.features, real.features, seed)
    yield Score.of("frechet", label, finite, False)
    yield Score.of("frechet_infinity", f"{label}, N to infinity", endless, False)


def _kernels(fake: FolderFeatures, real: FolderFeatures, network: FeatureNetwork, of: str) -> Iterator[Score]:
    label = network.published.get("kernel", f"kernel distance {of}")
    yield Score.of("kernel", label, kernel_distance(fake.features, real.features), False)
    one, other = (torch.nn.functional.normalize(side.features.double()) for side in (fake, real))
    found = kernel_distance(one, other, gaussian(10.0))
    thousandfold = Estimate(1000 * found.value, 1000 * found.low, 1000 * found.high)
    yield Score.of("gaussian_kernel", f"Gaussian kernel distance x1000, as CMMD {of}", thousandfold, False)


def _neighborhoods(fake: FolderFeatures, real: FolderFeatures, of: str) -> Iterator[Score]:
    """Intervals are those of sampling the pictures that are counted, the other side as it is."""
    found = manifold(real.features, fake.features, NEAREST, NEAREST_FOR_PRECISION)
    precision, recall, coverage = map(share_interval, (found.real_looking, found.recalled, found.covered))
    yield Score.of("precision", f"precision, k={NEAREST_FOR_PRECISION} {of}", precision, True)
    yield Score.of("recall", f"recall, k={NEAREST_FOR_PRECISION} {of}", recall, True)
    yield Score.of("density", f"density, k={NEAREST} {of}", mean_interval(found.densities), True)
    yield Score.of("coverage", f"coverage, k={NEAREST} {of}", coverage, True)


def _classes(
    fake: FolderFeatures, real: FolderFeatures, network: FeatureNetwork, of: str, splits: int
) -> Iterator[Score]:
    if fake.logits is None or real.logits is None:
        return
    label = network.published.get("inception_score", f"inception score on its classes {of}")
    yield Score.of("inception_score", label, inception_estimate(fake.logits.double().softmax(1), splits), True)
    seen = class_coverage(fake.logits.argmax(1), fake.logits.shape[1], real.logits.argmax(1))
    yield Score.of("classes", f"divergence of its classes from the real ones' {of}", seen.divergence, False)


def _slices(fake: FolderFeatures, real: FolderFeatures, of: str, seed: int) -> Iterator[Score]:
    distance = sliced_wasserstein(fake.features, real.features, seed=seed)
    yield Score.of("sliced_wasserstein", f"sliced Wasserstein distance {of}", distance, False)
    if fake.patches is not None and real.patches is not None:
        found = patch_distance(fake.patches, real.patches, seed=seed)
        yield Score.of("patches", "sliced Wasserstein distance of patches x1000", found.mean, False)


def _variety(
    fake: FolderFeatures, real: FolderFeatures, train: FolderFeatures, seed: int, near: Neighbors
) -> Iterator[Score]:
    alike, usual = (pair_similarity(side.paths, PAIRS, seed) for side in (fake, real))
    label = f"MS-SSIM of {PAIRS} random pairs (real ones: {usual.value:.3f})"
    yield Score.of("pair_similarity", label, alike, False)
    distances = apart(real)
    support = support_size(fake.features, float(distances.median()) / 2)
    yield Score.of("support", "different pictures by the birthday paradox, at least", support.size, True)
    copied = repeated(fake, train, near) | (near.distances[:, 0] < distances.quantile(0.01))
    label = "copies of training pictures, by pixels or closer than 99 % of real ones to each other"
    yield Score.of("copies", label, share_interval(copied), False)
