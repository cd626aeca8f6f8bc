"""The projected critic and the wavelet critic: what is frozen, what is stored, what they see."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from advtasks import Adversary, View, components
from advtasks.discriminators import ProjectedDiscriminator, WaveletDiscriminator, criticize, judges_alone
from advtasks.discriminators.conditioning import join_features, rgb_and_condition
from advtasks.errors import UsageError
from advtasks.layers import haar, inverse_haar, stationary_haar


def rand(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("layers", "side"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_a_logit_of_the_patch_critic_sees_what_it_says(layers: int, side: int) -> None:
    torch.manual_seed(0)
    critic = components.build("discriminators", f"patch:features=2:norm=none:layers={layers}", in_channels=1)
    assert critic.receptive_field == side
    picture = rand(1, 1, 640, 640).requires_grad_()
    logits = critic(picture)
    middle = logits.shape[-1] // 2
    (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], picture)
    rows = slope[0, 0].abs().sum(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == side


def test_haar_is_orthonormal_and_is_undone() -> None:
    picture = rand(2, 3, 12, 10, dtype=torch.float64)
    low, details = haar(picture)
    assert low.shape == (2, 3, 6, 5)
    assert details.shape == (2, 9, 6, 5)
    torch.testing.assert_close(low.square().sum() + details.square().sum(), picture.square().sum())
    torch.testing.assert_close(inverse_haar(low, details), picture)
    columns = torch.eye(16, dtype=torch.float64).view(16, 1, 4, 4)  # the matrix of the transform
    matrix = torch.cat([band.flatten(1) for band in haar(columns)], 1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(16, dtype=torch.float64))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_stationary_haar_keeps_energy_sums_to_the_picture_and_follows_shifts(level: int) -> None:
    picture = rand(1, 3, 16, 12, dtype=torch.float64)
    low, details = stationary_haar(picture, level, "circular")
    torch.testing.assert_close(low.square().sum() + details.square().sum(), picture.square().sum())
    for padding in ("circular", "replicate"):
        low, details = stationary_haar(picture, level, padding)
        torch.testing.assert_close(low + sum(details.chunk(3, 1)), picture)
    moved = stationary_haar(picture.roll((3, 5), (2, 3)), level, "circular")[1]
    torch.testing.assert_close(moved, stationary_haar(picture, level, "circular")[1].roll((3, 5), (2, 3)))


def test_bands_are_named_alike_in_both_transforms() -> None:
    picture = rand(1, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(stationary_haar(picture)[1][..., ::2, ::2] * 2, haar(picture)[1])
    stripes = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 1, 8, 8)  # change along rows: the first band
    assert haar(stripes)[1].abs().amax(dim=(0, 2, 3)).tolist() == [1, 0, 0]


@pytest.mark.parametrize("options", ["", ":transform=orthonormal", ":levels=3", ":norm=instance:layers=1"])
def test_the_wavelet_critic_sees_details_alone(options: str) -> None:
    torch.manual_seed(0)
    critic = components.build("discriminators", f"wavelet:width=4{options}", in_channels=3).eval()
    picture = rand(2, 3, 33, 40)
    torch.testing.assert_close(critic(picture + 0.25), critic(picture), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(critic(picture * 0.5), critic(picture), atol=1e-4)
    assert critic.bands(picture).abs().max() <= 1


@pytest.mark.parametrize("name", ["wavelet", "projected"])
def test_conditions_reach_the_critic(name: str) -> None:
    torch.manual_seed(0)
    picture, low = rand(2, 3, 64, 64), rand(2, 3, 64, 64, seed=1)
    for channels, condition, other in (
        (6, low, low.flip(3)),
        (3 + 4, torch.tensor([0, 1]), torch.tensor([3, 1])),
        (3 + 5, rand(2, 5), rand(2, 5, seed=4)),
    ):
        critic = components.build("discriminators", f"{name}:width=4", in_channels=channels).eval()
        assert (critic(picture, condition) - critic(picture, other)).abs().max() > 1e-6
    projected = Adversary(
        components.build("discriminators", f"{name}:width=4", in_channels=3),
        conditioning="projection",
        view=View(classes=4),
    )
    real, fake = picture, low.requires_grad_(True)
    projected.term(fake, real, torch.tensor([0, 1])).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    with pytest.raises(UsageError, match="single RGB pictures"):
        components.build("discriminators", name, in_channels=6)(torch.rand(1, 6, 64, 64))


def small(seed: int = 0) -> ProjectedDiscriminator:
    torch.manual_seed(9)
    return ProjectedDiscriminator(width=4, seed=seed)


def test_the_frozen_network_is_neither_trained_nor_stored_nor_found() -> None:
    critic = small()
    network = critic._frozen[0]
    assert sum(p.numel() for p in critic.parameters()) < 100_000 < sum(p.numel() for p in network.parameters())
    assert not any("blocks" in name for name in critic.state_dict())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adversary = Adversary(critic, "hinge", regularizers=["spectral-norm", "weight-clipping:limit=0.01"])
    mixing = {name: value.clone() for name, value in critic.named_buffers() if name.startswith("across")}
    assert len(mixing) == 7
    for step in range(2):
        adversary.train()
        adversary.update(rand(2, 3, 64, 64, seed=step), rand(2, 3, 64, 64, seed=step + 9))
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(torch.equal(critic.get_buffer(name), value) for name, value in mixing.items())
    assert judges_alone(critic)


def test_the_mixing_depends_on_its_seed_and_is_restored() -> None:
    one, same, other = small(), small(), small(seed=1)
    picture = rand(2, 3, 64, 64)
    for name in (name for name, _ in one.named_buffers() if name.startswith("across")):
        assert torch.equal(one.get_buffer(name), same.get_buffer(name))
        assert not torch.equal(one.get_buffer(name), other.get_buffer(name))
    other.load_state_dict(one.state_dict())
    for critic in (one, same, other):
        critic.eval()
    assert torch.equal(one(picture), other(picture))
    assert torch.equal(copy.deepcopy(one)(picture), one(picture))


def test_scales_weigh_alike_and_samples_are_judged_alone() -> None:
    critic = small().eval()
    for size, places in (((128, 128), 4), ((64, 192), 3), ((32, 32), 1)):
        output = critic.output(rand(2, 3, *size))
        assert output.logits.shape == (2, 4 * places)
        assert [feature.shape[1] for feature in output.features] == [critic.feature_width] * 4
        assert {feature[0, 0].numel() for feature in output.features} == {places}
    assert critic(rand(2, 3, 100, 70)).shape[0] == 2, "any size; the grids may differ by a place"
    both = rand(2, 3, 64, 64)
    torch.testing.assert_close(critic(both)[:1], critic(both[:1]), rtol=1e-4, atol=1e-5)


def test_the_frozen_network_follows_the_critic() -> None:
    critic = small().double()
    assert critic(rand(1, 3, 64, 64, dtype=torch.float64)).dtype == torch.float64
    assert critic._frozen[0].get_buffer("mean").dtype == torch.float64
    assert criticize(small().to(memory_format=torch.channels_last), rand(1, 3, 64, 64)).logits.dtype == torch.float32


def test_penalties_differentiate_twice_through_the_frozen_network() -> None:
    adversary = Adversary(small(), "non-saturating", regularizers=["r1:interval=1"])
    values = adversary.update(rand(2, 3, 64, 64), rand(2, 3, 64, 64, seed=3))
    assert values["r1"] > 0
    assert all(parameter.grad is not None for parameter in adversary.discriminator.parameters())


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="levels are 1 to 3"):
        WaveletDiscriminator(levels=2, transform="orthonormal")
    assert isinstance(WaveletDiscriminator(), nn.Module)


@pytest.mark.parametrize("critic", ["projected:width=4", "wavelet:width=4"])
def test_pieces_of_a_batch_train_as_the_whole(critic: str) -> None:
    states = []
    for accumulate in (1, 2):
        torch.manual_seed(2)
        made = components.build("discriminators", critic, in_channels=3)
        adversary = Adversary(made, "hinge", regularizers=["r1"], accumulate=accumulate, optimizer="sgd")
        for step in range(2):
            adversary.update(rand(4, 3, 64, 64, seed=step), rand(4, 3, 64, 64, seed=step + 5))
        states.append(adversary.state_dict())
    for name, value in states[0].items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(states[1][name], value, rtol=1e-5, atol=1e-6)


def test_what_is_the_same_everywhere_need_not_be_pooled() -> None:
    features, embedding = rand(2, 4, 5, 3), rand(2, 6, seed=1)
    planes = (embedding[:, :, None, None].expand(-1, -1, 32, 32) + 1) / 2  # a picture's values are moved to [-1, 1]
    found = [join_features(features, rgb_and_condition(rand(2, 3, 32, 32), c, 9, "x")[1]) for c in (embedding, planes)]
    torch.testing.assert_close(*found)
