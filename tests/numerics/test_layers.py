"""Layers against closed forms and against torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.parametrizations import _SpectralNorm

from advtasks import Adversary
from advtasks.discriminators import PatchDiscriminator, ProjectionDiscriminator, ResNetDiscriminator
from advtasks.errors import UsageError
from advtasks.features.trunk import L2Pooling
from advtasks.layers import (
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    PixelNorm,
    SelfAttention2d,
    VirtualBatchNorm,
    equalize_learning_rate,
)
from advtasks.layers.spectral import spectral_norm
from advtasks.regularizers import apply_spectral_norm


def test_attention_is_the_identity_at_first_and_equals_torchs_afterwards() -> None:
    torch.manual_seed(0)
    layer = SelfAttention2d(16).double()
    x = torch.randn(2, 16, 5, 4, dtype=torch.float64)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gamma, 0.7)
    query, key, value = (f(x).flatten(2).transpose(1, 2) for f in (layer.query, layer.key, layer.value))
    attended = scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2).unflatten(2, (5, 4))
    torch.testing.assert_close(layer(x), x + 0.7 * layer.out(attended))


def test_minibatch_discrimination_counts_equal_rows() -> None:
    layer = MinibatchDiscrimination(3, kernels=4, rows=2)
    equal = layer(torch.ones(6, 3))
    assert equal.shape == (6, 7)
    torch.testing.assert_close(equal[:, 3:], torch.full((6, 4), 5.0))  # N - 1
    far = layer(torch.eye(3) * 1e4)
    torch.testing.assert_close(far[:, 3:], torch.zeros(3, 4))
    x = torch.randn(3, 3)
    matrices = torch.einsum("ni,ikr->nkr", x, layer.tensor)
    by_hand = sum((-(matrices[0] - matrices[j]).abs().sum(1)).exp() for j in (1, 2))
    torch.testing.assert_close(layer(x)[0, 3:], by_hand)


def test_minibatch_standard_deviation() -> None:
    layer = MinibatchStandardDeviation(group=4)
    equal = layer(torch.ones(8, 3, 5, 5))
    assert equal.shape == (8, 4, 5, 5)
    torch.testing.assert_close(equal[:, 3], torch.full((8, 5, 5), 1e-4))  # the root of 1e-8
    x = torch.randn(8, 3, 2, 2)
    groups = [x[:4].std(0, unbiased=False).mean(), x[4:].std(0, unbiased=False).mean()]
    torch.testing.assert_close(layer(x)[:, 3, 0, 0], torch.stack(groups).repeat_interleave(4))
    assert layer(torch.randn(6, 2)).shape == (6, 3), "6 samples: groups of 3"


@pytest.mark.parametrize("layer", [MinibatchStandardDeviation(), L2Pooling()])
def test_roots_have_finite_slopes_at_zero_in_float16(layer: nn.Module) -> None:
    x = torch.zeros(4, 3, 4, 4, dtype=torch.float16, requires_grad=True)
    with torch.autocast("cpu", torch.float16):
        layer(x).float().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    large = torch.full((4, 3, 4, 4), 300.0, dtype=torch.float16)
    assert layer(large).isfinite().all()


@pytest.mark.parametrize("layer", [MinibatchStandardDeviation(), L2Pooling()])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_layers_keep_the_type_of_what_they_are_given(layer: nn.Module, kind: torch.dtype) -> None:
    """Also where the whole network was put into it; float64 is computed in float64."""
    torch.manual_seed(0)
    x = torch.randn(4, 3, 4, 4, dtype=torch.float64)
    wanted = layer(x)
    assert torch.autograd.gradcheck(layer, x.clone().requires_grad_())
    found = copy.deepcopy(layer).to(kind)(x.to(kind))
    assert found.dtype == kind
    tolerance = {torch.float64: 0.0, torch.float32: 1e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}[kind]
    torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=tolerance)


def test_pixel_norm() -> None:
    x = torch.randn(2, 7, 3, 3)
    torch.testing.assert_close(PixelNorm()(x).square().mean(1), torch.ones(2, 3, 3))


def test_virtual_batch_norm_is_batch_norm_of_the_reference_for_many_references() -> None:
    torch.manual_seed(0)
    layer, plain = VirtualBatchNorm(3), nn.BatchNorm2d(3)
    reference, x = torch.randn(4000, 3, 2, 2) * 2 + 1, torch.randn(5, 3, 2, 2)
    layer.reference = True
    torch.testing.assert_close(layer(reference), plain(reference), rtol=1e-4, atol=1e-4)
    layer.reference = False
    wanted = (x - reference.mean((0, 2, 3), keepdim=True)) / reference.std((0, 2, 3), keepdim=True)
    torch.testing.assert_close(layer(x), wanted, rtol=5e-3, atol=5e-3)
    torch.testing.assert_close(layer(x)[:1], layer(x[:1]), msg="no sample depends on the others")
    few = VirtualBatchNorm(1)
    few.reference = True
    few(torch.tensor([[1.0], [3.0]]))
    few.reference = False
    # moments of the reference 2 and 5, of the sample 8 and 64: (2·2+8)/3 and (2·5+64)/3
    assert few(torch.tensor([[8.0]])).item() == pytest.approx((8 - 4) / (74 / 3 - 16 + 1e-5) ** 0.5)
    with pytest.raises(RuntimeError, match="no reference"):
        VirtualBatchNorm(1)(torch.ones(1, 1))


def test_virtual_batch_norm_in_a_critic_keeps_its_first_real_batch() -> None:
    torch.manual_seed(0)
    adversary = Adversary(
        PatchDiscriminator(3, features=4, layers=1, norm="batch"), regularizers=["virtual-batch-norm", "r1"]
    )
    real, fake = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16)
    adversary.update(fake, real)
    adversary.update(fake, real + 1)
    reference = adversary.discriminator.get_extra_state()[0]
    assert torch.equal(reference, real)
    alone = adversary.criticize(fake[:1])
    torch.testing.assert_close(adversary.criticize(fake)[:1], alone)
    with pytest.raises(UsageError, match="has none"):
        Adversary(PatchDiscriminator(3, features=4, layers=1, norm="none"), regularizers=["virtual-batch-norm"])


def test_equalized_learning_rate() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(8, 400, 3), nn.Linear(30, 4))
    equalize_learning_rate(layer)
    stored = layer[0].parametrizations.weight.original
    assert stored.std().item() == pytest.approx(1, rel=0.05)
    torch.testing.assert_close(layer[0].weight, stored * (2 / (8 * 9)) ** 0.5)
    assert layer[0].bias.abs().sum() == 0
    for first, second in ((equalize_learning_rate, apply_spectral_norm), (apply_spectral_norm, equalize_learning_rate)):
        module = nn.Linear(3, 3)
        first(module)
        with pytest.raises(UsageError, match="undo each other"):
            second(module)


def test_projection_is_linear_in_the_embedding_and_uses_one_pass() -> None:
    torch.manual_seed(0)
    critic = ProjectionDiscriminator(ResNetDiscriminator(3, width=4, blocks=2), embedding=5)
    picture, one, other = torch.rand(2, 3, 16, 16), torch.randn(2, 5), torch.randn(2, 5)
    plain = critic.critic(picture)
    parts = [critic(picture, e) - plain for e in (one, other, one + 2 * other)]
    torch.testing.assert_close(parts[2], parts[0] + 2 * parts[1], rtol=1e-4, atol=1e-5)
    scaled = copy.deepcopy(critic)
    scaled.scale = critic.feature_width**-0.5
    torch.testing.assert_close(
        scaled(picture, one) - plain, parts[0] * critic.feature_width**-0.5, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("minibatch", ["none", "stddev", "discrimination"])
@pytest.mark.parametrize("size", [(16, 16), (21, 33), (64, 64)])
def test_the_residual_critic_takes_any_size(size: tuple[int, int], minibatch: str) -> None:
    critic = ResNetDiscriminator(3, width=4, blocks=3, attention=True, minibatch=minibatch)
    assert critic(torch.rand(4, 3, *size)).shape == (4, 1)


@pytest.mark.parametrize(
    "kind", [nn.Linear(6, 4), nn.Conv2d(3, 5, 3), nn.ConvTranspose2d(3, 5, 3), nn.Embedding(7, 4)], ids=repr
)
def test_spectral_norm_of_each_kind_of_layer(kind: nn.Module) -> None:
    torch.manual_seed(0)
    layer = copy.deepcopy(kind)
    weight = layer.weight.detach().clone()
    apply_spectral_norm(layer)
    layer.train()
    for _ in range(200):
        layer.weight  # noqa: B018  (each use in training mode is one power iteration)
    matrix = weight.transpose(0, 1).flatten(1) if isinstance(kind, nn.ConvTranspose2d) else weight.flatten(1)
    largest = torch.linalg.svdvals(matrix)[0]
    torch.testing.assert_close(layer.weight.detach(), weight / largest, rtol=1e-4, atol=1e-5)
    vector = layer.parametrizations.weight[0]._u.clone()
    layer.eval()
    layer.weight  # noqa: B018
    assert torch.equal(layer.parametrizations.weight[0]._u, vector), "evaluation does not move the estimate"
    copied = copy.deepcopy(layer)
    assert torch.equal(copied.weight, layer.weight)
    fresh = copy.deepcopy(kind)
    apply_spectral_norm(fresh)
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh.eval().weight, layer.weight)


def test_virtual_batch_norm_of_half_precision_does_not_cancel() -> None:
    torch.manual_seed(0)
    layer = VirtualBatchNorm(3)
    layer.reference = True
    x = (5 + 0.1 * torch.randn(64, 3, 4, 4)).bfloat16()
    wanted = nn.BatchNorm2d(3)(x.float())
    found = layer(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.02)


def test_the_reference_is_real_whatever_comes_first() -> None:
    critic = PatchDiscriminator(3, features=4, layers=1, norm="batch")
    adversary = Adversary(critic, regularizers=["virtual-batch-norm"])
    real, fake = torch.rand(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)
    adversary.term(fake, real)
    assert torch.equal(adversary.discriminator.get_extra_state()[0], real)


def test_spectral_norm_is_torchs_whatever_the_precision_of_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast on a GPU takes its products in 16 bit; here what its forward pass sees is looked at."""
    torch.manual_seed(0)
    theirs = torch.nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))
    torch.manual_seed(0)
    ours = spectral_norm(nn.Conv2d(3, 4, 3))
    seen: list[bool] = []
    plain = _SpectralNorm.forward

    def noted(self: _SpectralNorm, weight: Tensor) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return plain(self, weight)

    monkeypatch.setattr(_SpectralNorm, "forward", noted)
    with torch.autocast("cpu", torch.bfloat16):
        copied = copy.deepcopy(ours).weight
        found = ours.weight
    assert seen == [False, False]
    assert torch.equal(found, theirs.weight)
    assert torch.equal(found, copied)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
