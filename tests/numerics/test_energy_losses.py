"""BEGAN, EBGAN and the neural-net distance: controllers and sums traced by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advtasks import Adversary, components
from advtasks.discriminators import MLPAutoencoder
from advtasks.errors import UsageError
from advtasks.losses import BoundaryEquilibrium, EnergyBased, NeuralNetDistance
from advtasks.regularizers import pulling_away


def test_the_k_controller_by_hand() -> None:
    loss = BoundaryEquilibrium(gamma=0.5, rate=0.1)
    steps = [(4.0, 1.0), (2.0, 3.0), (1.0, 30.0), (9.0, 0.0)]
    k = 0.0
    for real_energy, fake_energy in steps:
        real, fake = torch.full((3, 1), -real_energy), torch.full((3, 1), -fake_energy)
        assert loss.discriminator(real, fake).item() == pytest.approx(real_energy - k * fake_energy)
        assert loss.generator(fake).item() == pytest.approx(fake_energy)
        logged = loss.observe(real, fake)
        k = min(max(k + 0.1 * (0.5 * real_energy - fake_energy), 0.0), 1.0)
        assert loss.k.item() == pytest.approx(k)
        assert logged["began/k"].item() == pytest.approx(k)
        assert logged["began/convergence"].item() == pytest.approx(real_energy + abs(0.5 * real_energy - fake_energy))
    again = BoundaryEquilibrium(gamma=0.5, rate=0.1)
    again.load_state_dict(loss.state_dict())
    assert again.k.item() == pytest.approx(k)


def test_began_reaches_its_equilibrium() -> None:
    """E L(f) = gamma E L(r), on points that a small generator learns."""
    torch.manual_seed(0)
    adversary = Adversary(
        MLPAutoencoder(2, width=32, code=1, eta=1.0), "began:gamma=0.6:rate=0.02", learning_rate=1e-3, betas=(0.5, 0.99)
    )
    generator = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.99))
    ratios = []
    for step in range(3000):
        real = torch.randn(128, 2) * torch.tensor([1.0, 0.3])
        fake = generator(torch.randn(128, 2))
        optimizer.zero_grad()
        adversary.term(fake, real).backward()
        optimizer.step()
        values = adversary.update(fake, real)
        if step >= 2000:
            ratios.append(values["logit/fake"] / values["logit/real"])
    assert sum(ratios) / len(ratios) == pytest.approx(0.6, rel=0.1)


def test_the_margin_is_taken_for_each_sample() -> None:
    loss = EnergyBased(margin=2.0)
    real, fake = torch.tensor([-1.0, -3.0]), torch.tensor([0.0, -10.0])  # energies 0 and 10: their mean is above
    assert loss.discriminator(real, fake).item() == pytest.approx(2.0 + 1.0)  # the margin
    assert loss.generator(fake).item() == pytest.approx(5.0)


def test_pulling_away_is_0_for_orthogonal_codes_and_1_for_equal_ones() -> None:
    assert pulling_away(torch.eye(4) * 3).item() == pytest.approx(0)
    assert pulling_away(torch.tensor([[1.0, 2.0]]).repeat(5, 1)).item() == pytest.approx(1)
    codes = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    assert pulling_away(codes).item() == pytest.approx((0.5 + 0 + 0.5) / 3)  # the three pairs
    with pytest.raises(UsageError, match="at least 2"):
        pulling_away(torch.ones(1, 2))


def test_the_neural_net_distance_of_linear_critics_is_the_gap_of_the_means() -> None:
    torch.manual_seed(1)
    real, fake = torch.randn(64, 5) + 1, torch.randn(64, 5)
    gap = real.mean(0) - fake.mean(0)
    loss = NeuralNetDistance()
    weight = nn.Parameter(torch.randn(5) * 0.1)
    for _ in range(200):
        loss.discriminator(real @ weight, fake @ weight).backward()
        with torch.no_grad():
            weight -= 0.1 * weight.grad
            weight /= weight.norm().clamp(min=1)  # the ball of linear critics
            weight.grad = None
    assert loss.generator(fake @ weight, real @ weight).item() == pytest.approx(gap.norm().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["began", "ebgan"])
def test_energies_need_an_autoencoder(name: str) -> None:
    with pytest.raises(UsageError, match="autoencoding critic"):
        Adversary(components.build("discriminators", "patch", in_channels=3), name)
