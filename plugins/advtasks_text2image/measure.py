"""How good pictures of captions are: the distribution, and whether they show what the captions say."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from advtasks.evaluation.kid import kernel_distance
from advtasks.evaluation.support import nearest
from advtasks.evaluation.text_scores import RidgeProbe, most_candidates, r_precision
from advtasks.features import FeatureNetwork
from advtasks.regularizers import surely_wrong
from advtasks.task import Metric
from advtasks_text2image.data import SIDE, Loaded, features_of, pooled_features
from advtasks_text2image.encoders import TextEncoder

CANDIDATES = 100
FITTED = 20000
"""Training pictures at most that are looked at: of more, as many at even distances."""


class Measure(nn.Module):
    """Metrics on a frozen network's pooled features, and a probe from them to the text's embeddings.

    Args:
        network: of features.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network
        self._train: tuple[Loaded, ...] = ()
        self._fitted: list[Loaded] = []
        self._features = torch.empty(0)
        self._probe: RidgeProbe | None = None

    def metrics(self) -> tuple[Metric, ...]:
        """Their descriptions."""
        of = self.network.name
        return (
            Metric(
                "kernel",
                f"kernel distance ({of})",
                False,
                f"KID's estimator on pooled {of} features at {SIDE} pixels, of generated and real held-out pictures; "
                "of the real ones: of as many training pictures",
            ),
            Metric(
                "r_precision",
                f"R-precision (probe on {of})",
                True,
                f"share of pictures whose caption is first among {CANDIDATES} (chance 1 %; fewer where captions are "
                f"few) by a ridge regression from {of} to the text encoder's embeddings, fitted on the training pairs "
                f"({FITTED:,} of them at most)",
            ),
        )

    def features(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) to (N, d), on the CPU."""
        return pooled_features(self.network, pictures)

    def fit(self, train: tuple[Loaded, ...], encoder: TextEncoder) -> None:
        """Compute what does not change while training: the features of real training pictures, and the probe."""
        if train is self._train:
            return
        spread = torch.linspace(0, len(train) - 1, min(len(train), FITTED), dtype=torch.float64).round().long()
        self._fitted = [train[number] for number in spread.tolist()]
        self._features = features_of(self.network, self._fitted)
        embeddings = encoder.encode([item.captions[0] for item in self._fitted]).sentences
        self._probe = RidgeProbe(self._features, embeddings)
        self._captions = embeddings
        self._train = train

    def __call__(self, pictures: Tensor, embeddings: Tensor, real: Tensor, is_real: bool) -> dict[str, float]:
        """Of pictures of captions with these embeddings, beside the real pictures of the captions."""
        assert self._probe is not None, "fit first"
        found, wanted = self.features(pictures), self.features(real)
        spread = torch.linspace(0, len(self._features) - 1, len(found)).long()
        compared = self._features[spread] if is_real else found
        pool = torch.cat((embeddings, self._captions))
        pool = pool[pool.any(1)]  # no text is no candidate
        told = surely_wrong(embeddings, pool, None, None).any(1)  # what could be said of all pictures tells nothing
        seen = self._probe(found)[told]
        texts, count = embeddings[told], 0
        if len(texts):
            count = min(CANDIDATES, most_candidates(texts, pool))
        precision = r_precision(seen, texts, pool, count) if count > 1 else float("nan")
        return {"kernel": kernel_distance(compared, wanted).value, "r_precision": precision}

    def nearest(self, pictures: Tensor) -> list[Loaded]:
        """The training picture nearest to each, by the direction of its features."""
        near = nearest(normalize(self.features(pictures), dim=1), normalize(self._features, dim=1))[1]
        return [self._fitted[int(number)] for number in near]
