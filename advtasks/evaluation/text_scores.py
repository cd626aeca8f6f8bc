"""Whether pictures show what their captions say, by embeddings of both."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def clip_score(pictures: Tensor, texts: Tensor) -> float:
    """Mean of 100 max(cos, 0) of (N, d) pairs (Hessel et al. 2021, eq. 1, with w = 100 as torchmetrics has it). The
    name belongs to CLIP's embeddings: of another dual encoder it is the score on that one."""
    cosine = (normalize(pictures.double(), dim=1) * normalize(texts.double(), dim=1)).sum(1)
    return 100 * cosine.clamp_min(0).mean().item()


def r_precision(
    pictures: Tensor, texts: Tensor, pool: Tensor, candidates: int = 100, limit: float = 0.9, seed: int = 0
) -> float:
    """Share of pictures whose own text is nearest by cosine among `candidates`: itself and random ones of a pool that
    are surely wrong for it (Xu et al. 2018, section 4: 100). Chance is one in `candidates`; ties count as lost.

    Args:
        pictures: (N, d) embeddings of pictures, in the space of the texts.
        texts: (N, d) of their own texts.
        pool: (M, d) of other texts.
        limit: texts of a cosine similarity from this on may be right, too, and are no candidates.

    Raises:
        ValueError: a text has no wrong ones in the pool.
    """
    pictures, texts, pool = (normalize(x.double(), dim=1) for x in (pictures, texts, pool))
    draws = torch.Generator().manual_seed(seed)
    wrong = texts @ pool.T < limit
    if not wrong.any(1).all():
        raise ValueError("a text is (nearly) that of all pictures: there is nothing to tell it from")
    own = (pictures * texts).sum(1)
    similarity = pictures @ pool.T
    won = 0.0
    for row in range(len(pictures)):
        others = wrong[row].nonzero()[:, 0]
        chosen = others[torch.randint(len(others), (candidates - 1,), generator=draws)]
        won += float(own[row] > similarity[row, chosen].max())
    return won / len(pictures)


class RidgeProbe:
    """A linear map from features of pictures to embeddings of texts by ridge regression, for where no dual encoder is
    at hand. Its scores are called after it.

    Args:
        features: (N, d) of real pictures.
        texts: (N, E) of their texts.
        strength: of the penalty, relative to the mean variance of a feature times N.
    """

    def __init__(self, features: Tensor, texts: Tensor, strength: float = 0.1) -> None:
        values, wanted = features.double(), texts.double()
        self.mean, self.deviation = values.mean(0), values.std(0).clamp_min(1e-6)
        self.offset = wanted.mean(0)
        x, y = (values - self.mean) / self.deviation, wanted - self.offset
        penalty = strength * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
        self.map = torch.linalg.solve(x.T @ x + penalty, x.T @ y)

    def __call__(self, features: Tensor) -> Tensor:
        """(N, d) to (N, E); the mean text is left out, so that directions are those of differences between texts."""
        return ((features.double() - self.mean) / self.deviation) @ self.map + self.offset
