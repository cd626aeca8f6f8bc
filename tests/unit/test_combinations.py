"""Combinations that make no sense are refused, with the reason and the way out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from advtasks_text2image.critic import TextDiscriminator
from torch import Tensor, nn

from advtasks import Adversary, Judged, MLPDiscriminator, PatchDiscriminator, UNetDiscriminator, View
from advtasks.discriminators import ResNetDiscriminator
from advtasks.errors import UsageError
from advtasks.layers import SynchronizedBatchNorm


def patch(norm: str = "none", channels: int = 3) -> PatchDiscriminator:
    return PatchDiscriminator(channels, features=4, layers=1, norm=norm)  # type: ignore[arg-type]


CLASSES, TEXT = View(classes=3), View(embedding=4)

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"loss": "wasserstein"}, "no bound for a free critic.*wgan-gp"),
    ({"loss": "neural-net-distance", "regularizers": ["r1"]}, "no bound for a free critic"),
    ({"loss": "ebgan"}, "autoencoding critic"),
    ({"regularizers": ["ac-gan"]}, "needs class labels"),
    ({"regularizers": ["adc-gan"], "view": TEXT}, "needs class labels"),
    ({"regularizers": ["ac-gan"], "view": CLASSES}, "it is told: use conditioning none or projection"),
    ({"regularizers": ["ma-gp"]}, "needs an embedding"),
    ({"regularizers": ["gan-int"]}, "lies between two embeddings"),
    ({"regularizers": ["contrastive"]}, "contrastive needs an embedding"),
    ({"regularizers": ["contrastive:temperature=0"], "view": TEXT}, "temperature must be above 0"),
    ({"regularizers": ["contrastive"], "view": TEXT, "conditioning": "none", "pack": 2}, "reads each sample by itself"),
    ({"regularizers": ["ma-gp"], "view": TEXT, "conditioning": "none"}, "conditioning concat or projection"),
    ({"regularizers": ["matching-aware"]}, "given a class or an embedding"),
    ({"regularizers": ["info-gan"]}, "give categories"),
    ({"augments": ["ada"], "loss": "relativistic-paired"}, "no such boundary: use a fixed probability"),
    ({"augments": ["apa"], "loss": "wasserstein", "regularizers": ["wgan-gp"]}, "no such boundary"),
    ({"regularizers": ["lecam:interval=4"]}, "no option 'interval'"),
    ({"regularizers": ["spectral-norm", "equalized-lr"]}, "undo each other"),
    ({"regularizers": ["r1"], "augments": ["diffaugment", "diffaugment"]}, "named twice"),
    ({"conditioning": "projection"}, "either a class or an embedding"),
    ({"conditioning": "concat", "pack": 2, "view": CLASSES}, "pack"),
    ({"regularizers": ["info-gan:categories=3"], "view": CLASSES}, "guess the class or code"),
    ({"conditioning": "projection", "pack": 2, "view": TEXT}, "cannot share one"),
    ({"conditioning": "none", "pack": 2, "view": CLASSES, "regularizers": ["ac-gan"]}, "reads each sample by itself"),
    ({"pack": 2, "regularizers": ["zcr"]}, "packing would change one of each pair"),
    ({"augments": ["diffaugment"], "regularizers": ["zcr"]}, "augments would change one of each pair"),
    ({"regularizers": ["gan-int"], "view": TEXT, "conditioning": "concat", "pack": 2}, "reads each sample by itself"),
    ({"pack": 0}, "pack must be at least 1"),
    ({"loss": "f-alpha:alpha=1"}, "use f-reverse-kl for 0 and f-kl for 1"),
    ({"loss": "f-jensen-shannon-weighted:pi=2"}, "between 0 and 1"),
    ({"loss": "hinge", "label_smoothing": 0.1}, "no probability target"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Adversary(patch(), **arguments)


@pytest.mark.parametrize(
    "name", ["wgan-gp", "wgan-lp", "r1", "r2", "zero-gp", "dragan", "max-gp", "r1-first-order", "cr"]
)
def test_gradients_of_single_samples_and_batch_norm(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} measures.*batch norm.*norm=instance"):
        Adversary(patch("batch"), regularizers=[name])
    Adversary(patch("batch"), regularizers=[name, "virtual-batch-norm"])
    Adversary(patch("instance"), regularizers=[name])


@pytest.mark.parametrize("name", ["wgan-gp", "wgan-lp", "max-gp", "spectral-norm", "weight-clipping"])
def test_what_bounds_a_critic(name: str) -> None:
    Adversary(patch(), "wasserstein", regularizers=[name])


def test_a_critic_with_its_own_bound_needs_no_regularizer() -> None:
    Adversary(UNetDiscriminator(width=4), "wasserstein")
    own = patch()
    own.lipschitz = True  # type: ignore[assignment]
    Adversary(own, "wasserstein")


def test_a_mean_over_ranks_needs_a_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    Adversary(patch(), "relativistic-paired")
    with pytest.raises(UsageError, match="lecam needs a mean over all ranks"):
        Adversary(patch(), regularizers=["lecam"])
    with pytest.raises(UsageError, match="WORLD_SIZE is 2 and there is no process group"):
        Adversary(patch(), "relativistic-average")


def test_a_critic_that_has_no_input_gradient_is_named_with_the_way_out() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.bias.expand(len(x), 1)

    with pytest.raises(UsageError, match="differentiates the critic twice.*r1-first-order"):
        Adversary(Constant(), regularizers=["r1"]).discriminator_terms(Judged(torch.rand(3), torch.rand(3)))


def test_terms_that_move_the_noise_need_it() -> None:
    for name in ("path-length:every=1", "zcr"):
        adversary = Adversary(MLPDiscriminator(2), regularizers=[name])
        with pytest.raises(UsageError, match="this task shows none"):
            adversary.term(torch.randn(3, 2), torch.randn(3, 2))


def test_matching_aware_and_batch_means() -> None:
    with pytest.raises(UsageError, match="compares with a mean over the batch"):
        Adversary(MLPDiscriminator(2 + 3), "relativistic-average", regularizers=["matching-aware"], view=CLASSES)


def test_features_are_needed_where_they_are_read() -> None:
    for name in ("feature-matching", "pulling-away", "info-gan:categories=3"):
        with pytest.raises(UsageError, match="shows its features"):
            Adversary(nn.Linear(2, 1), regularizers=[name])
    with pytest.raises(UsageError, match="projection needs a critic with features"):
        Adversary(nn.Linear(2, 1), conditioning="projection", view=CLASSES)


@pytest.mark.parametrize("layer", [nn.SyncBatchNorm, SynchronizedBatchNorm])
def test_batch_norm_over_processes_is_batch_norm(layer: type[nn.Module]) -> None:
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), layer(4), nn.Conv2d(4, 1, 3))
    with pytest.raises(UsageError, match="r1 measures.*batch norm"):
        Adversary(critic, regularizers=["r1"])


def test_contrastive_wants_features_of_pictures_alone() -> None:
    for critic in (PatchDiscriminator(3 + 8, features=4, layers=1), ResNetDiscriminator(3 + 8, width=4, blocks=1)):
        with pytest.raises(UsageError, match="are made of pictures and texts: use conditioning none or projection"):
            Adversary(critic, "hinge", regularizers=["contrastive"], view=View(embedding=8))
    Adversary(patch(), "hinge", regularizers=["contrastive"], view=View(embedding=8), conditioning="none")
    Adversary(TextDiscriminator(3 + 8, width=4), "hinge", regularizers=["contrastive"], view=View(embedding=8))
