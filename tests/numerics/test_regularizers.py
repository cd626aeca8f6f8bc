"""Regularizers against closed forms, float64 differences, and singular values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advtasks.adversary import Adversary
from advtasks.discriminators import PatchDiscriminator
from advtasks.errors import UsageError
from advtasks.losses import NonSaturating
from advtasks.regularizers import (
    R1,
    R2,
    FeatureMatching,
    Scored,
    feature_matching,
    input_gradient,
    r1_penalty,
    wasserstein_gradient_penalty,
)
from advtasks.regularizers.spectral import apply_spectral_norm
from advtasks.task import Judged


class Linear(nn.Module):
    """C(x) = <w, x>, of gradient norm `norm` everywhere."""

    def __init__(self, norm: float, size: int = 12) -> None:
        super().__init__()
        weight = torch.randn(size, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(weight / weight.norm() * norm)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight[:, None]


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 2, 64])
@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_linear_critic_has_closed_forms_for_any_batch_size(count: int, norm: float) -> None:
    critic, real, fake = Linear(norm), pictures(count, 1), pictures(count, 2)
    penalty = wasserstein_gradient_penalty(critic, real, fake, weight=10.0)
    assert penalty.item() == pytest.approx(10 * (norm - 1) ** 2, abs=1e-5)
    assert r1_penalty(critic, real, gamma=4.0).item() == pytest.approx(2 * norm**2, rel=1e-5)


def test_r1_of_a_quadratic_critic() -> None:
    matrix = torch.randn(12, 12, generator=torch.Generator().manual_seed(3))
    matrix = matrix + matrix.T
    critic = lambda x: 0.5 * (x.flatten(1) @ matrix * x.flatten(1)).sum(1, keepdim=True)  # noqa: E731
    real = pictures(5)
    expected = 0.5 * 10 * (real.flatten(1) @ matrix).square().sum(1).mean()
    torch.testing.assert_close(r1_penalty(critic, real), expected, rtol=1e-5, atol=1e-5)


def test_r1_reads_real_pictures_and_r2_generated_ones() -> None:
    critic = lambda x: 0.5 * x.flatten(1).square().sum(1, keepdim=True)  # gradient: x itself  # noqa: E731
    module = nn.Module()
    module.forward = critic  # type: ignore[method-assign]
    judged = Judged(pictures(3, 1), pictures(3, 2))
    for regularizer, looked_at in ((R1(2.0), judged.real), (R2(2.0), judged.fake)):
        expected = looked_at.flatten(1).square().sum(1).mean()
        scored = Scored(module, judged, None, NonSaturating(), 0)
        torch.testing.assert_close(regularizer.discriminator_term(scored), expected)


def test_penalty_gradient_reaches_the_weights_as_finite_differences_say() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(4, 12, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    real = pictures(3).double()

    def penalty(one: Tensor, two: Tensor) -> Tensor:
        leaf = real.clone().requires_grad_(True)
        values = torch.tanh(leaf.flatten(1) @ one.T) @ two.T
        (gradient,) = torch.autograd.grad(values.sum(), leaf, create_graph=True)
        return 0.5 * gradient.flatten(1).square().sum(1).mean()

    assert torch.autograd.gradcheck(penalty, (first.requires_grad_(True), second.requires_grad_(True)))

    class Critic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x.flatten(1) @ first.T.float()) @ second.T.float()

    ours = torch.autograd.grad(r1_penalty(Critic(), real.float(), gamma=1.0), (first, second))
    reference = torch.autograd.grad(penalty(first, second), (first, second))
    for one, other in zip(ours, reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_map_of_logits_counts_by_its_mean() -> None:
    scalar = Linear(2.0)
    as_map = lambda x: scalar(x).view(-1, 1, 1, 1).expand(-1, 1, 3, 3)  # noqa: E731
    torch.testing.assert_close(input_gradient(as_map, pictures(2)), input_gradient(scalar, pictures(2)))


def test_lazy_penalty_weighs_as_much_as_one_at_every_step() -> None:
    judged = Judged(pictures(4, 1).repeat(1, 1, 8, 8), pictures(4, 2).repeat(1, 1, 8, 8))
    critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
    every, lazy = Adversary(critic, regularizers=["r1"]), Adversary(critic, regularizers=["r1:interval=16"])
    always = every.discriminator_terms(judged)["r1"]
    assert "r1" not in lazy.discriminator_terms(judged)
    phase = lazy.phases()[1]
    assert phase.name == "discriminator-r1"
    assert [step for step in range(32) if phase.due(step)] == [15, 31]
    sometimes = phase.terms((judged, 0))["r1"]
    torch.testing.assert_close(sometimes.value, always.value)
    assert sometimes.weight == 16 * always.weight
    assert lazy.optimizer is not None
    group = lazy.optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(2e-4 * 16 / 17)
    assert group["betas"][1] == pytest.approx(0.99 ** (16 / 17))


def test_spectral_norm_agrees_with_singular_values() -> None:
    torch.manual_seed(1)
    critic = PatchDiscriminator(3, features=8, layers=2, norm="none")
    plain = {name: p.detach().clone() for name, p in critic.named_parameters() if p.dim() > 1}
    apply_spectral_norm(critic)
    apply_spectral_norm(critic)  # a second time changes nothing
    critic.train()
    with torch.no_grad():
        for _ in range(100):
            critic(torch.rand(1, 3, 16, 16))
    critic.eval()
    for name, weight in plain.items():
        layer = critic.get_submodule(name.removesuffix(".weight"))
        largest = torch.linalg.svdvals(weight.flatten(1))[0]
        torch.testing.assert_close(layer.weight, weight / largest, rtol=2e-3, atol=2e-4)


def test_feature_matching_is_zero_for_equal_pictures_and_trains_the_generator_only() -> None:
    critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
    picture = pictures(2).repeat(1, 1, 8, 8)
    term = FeatureMatching()
    features = critic.output(picture).features
    assert feature_matching(features, features).item() == 0
    fake = (picture + 0.1).requires_grad_(True)
    adversary = Adversary(critic, regularizers=[term])
    adversary.term(fake, picture).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
    with pytest.raises(UsageError, match="features"):
        Adversary(Linear(1.0), regularizers=["feature-matching"])


class Breaking(torch.autograd.Function):
    """Fails on the way back, as a machine does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, words: str) -> Tensor:
        ctx.words = words
        return x * 1

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        raise RuntimeError(ctx.words)


@pytest.mark.parametrize(
    "words", ["can't allocate memory: 12", "CUDA error: an illegal memory access", "gloo: Connection closed by peer"]
)
def test_a_penalty_blames_no_critic_for_what_the_machine_does(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A usage error would keep --restarts from starting again."""
    monkeypatch.setattr("advtasks.process_group.world_size", lambda: 2)
    with pytest.raises(RuntimeError, match=words):
        input_gradient(lambda x: Breaking.apply(x, words).flatten(1).sum(1), torch.rand(2, 3))
    with pytest.raises(UsageError, match="this one cannot be: no formula"):
        input_gradient(lambda x: Breaking.apply(x, "no formula").flatten(1).sum(1), torch.rand(2, 3))
