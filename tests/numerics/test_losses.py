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


def test_least_squares_by_hand() -> None:
    loss = LeastSquares(a=-1, b=2, c=0.5)
    real, fake = torch.tensor([3.0]), torch.tensor([1.0])
    assert loss.discriminator(real, fake).item() == pytest.approx(0.5 * 1 + 0.5 * 4)
    assert loss.generator(fake).item() == pytest.approx(0.5 * 0.25)
    smoothed = LeastSquares(a=-1, b=2, c=0.5, label_smoothing=0.1)  # the real target is 1.7
    assert smoothed.discriminator(torch.tensor([2.0]), torch.tensor([-1.0])).item() == pytest.approx(0.5 * 0.09)


def test_the_best_critic_of_least_squares_and_what_its_generator_lowers() -> None:
    """C* = (b p + a q) / (p + q), and with b - c = 1, b - a = 2 twice the generator's loss over p + q is Pearson's χ²
    of p + q from 2 q (Mao et al. 2017, section 3.2)."""
    p, q = torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.4, 0.4, 0.2])
    loss = LeastSquares(a=-1, b=1, c=0)
    best = (p - q) / (p + q)

    def drawn(weights: Tensor, logits: Tensor) -> Tensor:
        return torch.repeat_interleave(logits, (weights * 10).round().long())

    lowest = loss.discriminator(drawn(p, best), drawn(q, best))
    for place in range(3):
        for step in (-0.05, 0.05):
            moved = best.clone()
            moved[place] += step
            assert loss.discriminator(drawn(p, moved), drawn(q, moved)) > lowest
    chi = ((2 * q - (p + q)) ** 2 / (p + q)).sum()
    on_both = 2 * (loss.generator(drawn(p, best)) + loss.generator(drawn(q, best)))
    assert on_both.item() == pytest.approx(chi.item())


@pytest.mark.parametrize(("suffix", "even", "sure"), [("-hinge", 1.0, 0.0), ("-least-squares", 1.0, 4.0)])
def test_relativistic_comparisons_by_hand(suffix: str, even: float, sure: float) -> None:
    """At equal logits, and where every real one is 3 above every fake one."""
    zero = torch.zeros(2)
    for form, times in (("paired", 1), ("average", 2)):
        loss = components.build("losses", f"relativistic-{form}{suffix}")
        assert loss.discriminator(zero, zero).item() == times * even
        assert loss.discriminator(zero + 3, zero).item() == times * sure


def test_the_relativistic_average_compares_with_means() -> None:
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([1.0, -3.0])  # means 1 and -1
    loss = components.build("losses", "relativistic-average-least-squares")
    above = ((0 + 1 - 1) ** 2 + (2 + 1 - 1) ** 2) / 2
    below = ((1 - 1 - 1) ** 2 + (1 + 3 - 1) ** 2) / 2
    assert loss.discriminator(real, fake).item() == pytest.approx(above + below)
    paired = components.build("losses", "relativistic-paired-least-squares")
    assert paired.discriminator(real, fake).item() == pytest.approx(((-1 - 1) ** 2 + (5 - 1) ** 2) / 2)


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("f-")])
def test_both_generators_of_an_f_divergence(name: str) -> None:
    fake = logits(6, seed=8)
    trick, saddle = components.build("losses", name), components.build("losses", f"{name}:trick=false")
    torch.testing.assert_close(trick.generator(fake), -trick.activation(fake).mean())
    torch.testing.assert_close(saddle.generator(fake), -trick.conjugate(fake).mean())
    assert not torch.equal(trick.activation(fake), trick.conjugate(fake)) or name == "f-total-variation"


def test_generators_away_from_zero() -> None:
    fake = torch.tensor([1.0, 3.0])
    assert Wasserstein().generator(fake).item() == -2
    assert Hinge().generator(fake).item() == -2
    softplus = (math.log1p(math.exp(1)) + math.log1p(math.exp(3))) / 2
    assert Minimax().generator(fake).item() == pytest.approx(-softplus)
