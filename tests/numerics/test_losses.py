"""Every loss of the core against its closed form, and its gradient against finite differences in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from advtasks import components
from advtasks.errors import UsageError
from advtasks.losses import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    RelativisticPaired,
    Wasserstein,
)

NAMES = sorted(components.provided("losses"))


def logits(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: str) -> None:
    loss = components.build("losses", name)
    real, fake = (logits(5, 1, 2, 2, seed=s).requires_grad_(True) for s in (1, 2))
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(lambda f: loss.generator(f, real.detach()), (fake,))


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_receives_a_gradient_and_descends_towards_real(name: str) -> None:
    loss = components.build("losses", name)
    fake = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    loss.generator(fake, torch.ones(4, dtype=torch.float64)).backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all(), "lowering the loss must raise the logits of generated pictures"


@pytest.mark.parametrize("name", [n for n in NAMES if not components.build("losses", n).batch_statistics])
def test_one_batch_is_the_mean_of_its_parts(name: str) -> None:
    loss = components.build("losses", name)
    real, fake = logits(8, seed=1), logits(8, seed=2)
    parts = [loss.discriminator(real[i : i + 4], fake[i : i + 4]) for i in (0, 4)]
    torch.testing.assert_close(loss.discriminator(real, fake), sum(parts) / 2)


def test_values_at_logits_zero() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    for loss in (Minimax(), NonSaturating()):
        assert loss.discriminator(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert Minimax().generator(zero).item() == pytest.approx(-math.log(2))
    assert NonSaturating().generator(zero).item() == pytest.approx(math.log(2))
    assert LeastSquares().discriminator(zero, zero).item() == pytest.approx(0.5)
    assert LeastSquares(a=-1, b=1, c=0).generator(zero).item() == 0
    assert Hinge().discriminator(zero, zero).item() == 2
    assert Wasserstein().discriminator(zero, zero + 3).item() == 3
    assert RelativisticPaired().discriminator(zero, zero).item() == pytest.approx(math.log(2))
    assert RelativisticAverage().discriminator(zero, zero).item() == pytest.approx(2 * math.log(2))


def test_non_saturating_keeps_its_gradient_at_very_negative_logits() -> None:
    fake = torch.tensor([-100.0], requires_grad=True)
    NonSaturating().generator(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1.0)


def test_hinge_at_the_best_critic_is_twice_one_minus_total_variation() -> None:
    p, q = torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.4, 0.4, 0.2])
    best = torch.sign(p - q)
    draws_p, draws_q = (torch.repeat_interleave(best, (w * 10).round().long()) for w in (p, q))
    total_variation = 0.5 * (p - q).abs().sum().item()
    assert Hinge().discriminator(draws_p, draws_q).item() == pytest.approx(2 * (1 - total_variation), abs=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("relativistic")])
def test_relativistic_losses_ignore_a_shift_and_swap_roles(name: str) -> None:
    loss = components.build("losses", name)
    real, fake = logits(6, seed=3), logits(6, seed=4)
    torch.testing.assert_close(loss.discriminator(real + 7, fake + 7), loss.discriminator(real, fake))
    torch.testing.assert_close(loss.generator(fake, real), loss.discriminator(fake, real))
    with pytest.raises(ValueError, match="logits of real pictures"):
        loss.generator(fake)


@pytest.mark.parametrize("suffix", ["", "-hinge", "-least-squares"])
def test_relativistic_average_is_twice_paired_for_one_picture(suffix: str) -> None:
    real, fake = logits(1, seed=5), logits(1, seed=6)
    average = components.build("losses", f"relativistic-average{suffix}").discriminator(real, fake)
    paired = components.build("losses", f"relativistic-paired{suffix}").discriminator(real, fake)
    torch.testing.assert_close(average, 2 * paired)


def test_label_smoothing_moves_the_optimum() -> None:
    smoothed = NonSaturating().with_label_smoothing(0.1)
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    best = math.log(0.9 / (0.1 + 1.0))  # C* = log((1-e)p / (q+ep)) at p = q
    for _ in range(200):
        (gradient,) = torch.autograd.grad(smoothed.discriminator(logit, logit), logit)
        logit = (logit - gradient).detach().requires_grad_(True)
    assert logit.item() == pytest.approx(best, abs=1e-6)


def test_label_smoothing_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(UsageError, match="makes no sense with Wasserstein"):
        Wasserstein().with_label_smoothing(0.1)
    with pytest.raises(UsageError, match="below 0.5"):
        Minimax().with_label_smoothing(0.5)
