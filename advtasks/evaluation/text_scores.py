"""Whether pictures show what their captions say, by embeddings of both."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize


def clip_score(pictures: Tensor, texts: Tensor) -> float:
    """Mean of :func:`clip_scores`."""
    return clip_scores(pictures, texts).mean().item()


def clip_scores(pictures: Tensor, texts: Tensor) -> Tensor:
    """100 max(cos, 0) of each of (N, d) pairs (Hessel et al. 2021, eq. 1, with w = 100 as torchmetrics has it). The
    name belongs to CLIP's embeddings: of another dual encoder it is the score on that one."""
    cosine = (normalize(pictures.double(), dim=1) * normalize(texts.double(), dim=1)).sum(1)
    return 100 * cosine.clamp_min(0)


def r_precision(
    pictures: Tensor, texts: Tensor, pool: Tensor, candidates: int = 100, limit: float = 0.9, seed: int = 0
) -> float:
    """Share of :func:`found_texts`."""
    return found_texts(pictures, texts, pool, candidates, limit, seed).double().mean().item()


def found_texts(
    pictures: Tensor, texts: Tensor, pool: Tensor, candidates: int = 100, limit: float = 0.9, seed: int = 0
) -> Tensor:
    """(N,) bool: pictures whose own text is nearest by cosine among `candidates`: itself and random different ones of a
    pool that are surely wrong for it (Xu et al. 2018, section 4: 100). Chance is one in `candidates`; ties count as
    lost.

    Args:
        pictures: (N, d) embeddings of pictures, in the space of the texts.
        texts: (N, d) of their own texts.
        pool: (M, d) of other texts; equal ones count once.
        candidates: :func:`most_candidates` says how many there can be; fewer are an easier task, and to be named.
        limit: texts of a cosine similarity from this on may be right, too, and are no candidates.

    Raises:
        ValueError: a text has fewer wrong ones in the pool.
    """
    pictures, texts, pool = (normalize(x.double(), dim=1) for x in (pictures, texts, pool.unique(dim=0)))
    draws = torch.Generator().manual_seed(seed)
    won = []
    for picture, text, (row, wrong) in zip(pictures, texts, enumerate(_wrong(texts, pool, limit)), strict=True):
        others = wrong.nonzero()[:, 0]
        if not len(others):
            raise ValueError("a text is (nearly) that of all pictures: there is nothing to tell it from")
        if len(others) < candidates - 1:
            raise ValueError(
                f"text {row} has {len(others)} different wrong texts, and {candidates} candidates need "
                f"{candidates - 1}: give more texts, or ask for at most {most_candidates(texts, pool, limit)} "
                "candidates"
            )
        chosen = others[torch.randperm(len(others), generator=draws)[: candidates - 1]]
        won.append(bool(picture @ text > (pool[chosen] @ picture).max()))
    return torch.tensor(won)


def most_candidates(texts: Tensor, pool: Tensor, limit: float = 0.9) -> int:
    """The largest number of candidates that :func:`found_texts` can give each text; 1 where one has no wrong texts."""
    texts, pool = (normalize(x.double(), dim=1) for x in (texts, pool.unique(dim=0)))
    return 1 + min(int(wrong.sum()) for wrong in _wrong(texts, pool, limit))


def _wrong(texts: Tensor, pool: Tensor, limit: float) -> Iterator[Tensor]:
    """For each text (M,) bool: those of the pool that are surely not it."""
    for part in texts.split(1024):
        yield from part @ pool.T < limit


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
        """(N, d) to (N, E), the mean text included, as in the texts that they are compared with."""
        return ((features.double() - self.mean) / self.deviation) @ self.map + self.offset
