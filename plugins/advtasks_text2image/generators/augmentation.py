"""Conditioning augmentation (StackGAN: Zhang et al. 2017, section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class ConditioningAugmentation(nn.Module):
    """``ĉ = μ(e) + exp(½ log σ²(e)) ε`` of an embedding: a caption becomes a small cloud, so that the generator is
    smooth between the few captions of a data set.

    Args:
        embedding: width of e.
        width: of ĉ and ε; the paper: 128.
    """

    def __init__(self, embedding: int, width: int = 128) -> None:
        super().__init__()
        self.width = width
        self.layer = nn.Linear(embedding, 2 * width)

    def forward(self, embedding: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """ĉ (N, width), and its divergence (N,) from the standard normal; without noise ĉ = μ."""
        mean, log_variance = leaky_relu(self.layer(embedding), 0.2).chunk(2, 1)
        moved = mean if noise is None else mean + (0.5 * log_variance).exp() * noise
        return moved, standard_normal_divergence(mean, log_variance)


def standard_normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² - 1 - log σ²) of rows (N, D), (N,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
