"""R-precision draws different candidates, and says when there are too few."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from advtasks.evaluation.text_scores import clip_score, found_texts, most_candidates, r_precision


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_chance_is_one_in_the_candidates_and_a_small_pool_is_refused() -> None:
    pictures, texts, pool = normal(600, 32), normal(600, 32, seed=1), normal(20, 32, seed=2)
    assert most_candidates(texts, pool) == 21
    found = r_precision(pictures, texts, pool, candidates=21)
    assert found == pytest.approx(1 / 21, abs=0.03), "candidates that are there twice would make it easier"
    with pytest.raises(ValueError, match=r"has 20 different wrong texts, and 100 candidates need 99.*at most 21"):
        found_texts(pictures, texts, pool)


def test_texts_that_may_be_right_are_no_candidates() -> None:
    texts = normal(5, 16)
    assert most_candidates(texts, texts) == most_candidates(texts, texts.repeat(3, 1)) == 5
    assert r_precision(texts, texts, texts, candidates=5) == 1
    assert most_candidates(texts, texts[:1].repeat(9, 1)) == 1
    with pytest.raises(ValueError, match="nothing to tell it from"):
        r_precision(texts, texts, texts[:1], candidates=2)


def test_the_score_of_known_vectors() -> None:
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    other = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    assert clip_score(one, other) == pytest.approx(100 / 3)
