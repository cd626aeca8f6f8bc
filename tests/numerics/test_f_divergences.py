"""The eleven divergences: the bound at the best critic, and the bound that a small network learns."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from advtasks import components
from advtasks.losses import Alpha, FDivergence

P, Q = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(1.0, 1.25)

# f'(u), the activation's inverse, and the divergence of P from Q by numerical integration (methods of the literature:
# closed forms for KL, reverse KL and Pearson agree)
ROWS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], float]] = {
    "f-total-variation": (
        lambda u: 0.5 * (u - 1).sign(),
        lambda t: torch.atanh(2 * t.clamp(-0.5 + 1e-15, 0.5 - 1e-15)),
        0.352882,
    ),
    "f-kl": (lambda u: 1 + u.log(), lambda t: t, 0.363144),
    "f-reverse-kl": (lambda u: -1 / u, lambda t: -(-t).log(), 0.558106),
    "f-pearson": (lambda u: 2 * (u - 1), lambda t: t, 0.715989),
    "f-neyman": (lambda u: 1 - u**-2, lambda t: -(1 - t).log(), 10.8925),
    "f-hellinger": (lambda u: 1 - u**-0.5, lambda t: -(1 - t).log(), 0.208166),
    "f-jeffrey": (lambda u: 1 + u.log() - 1 / u, lambda t: t, 0.921250),
    "f-jensen-shannon": (lambda u: (2 * u / (1 + u)).log(), lambda t: -(math.log(2) - t).expm1().log(), 0.194068),
    "f-jensen-shannon-weighted": (
        lambda u: 0.3 * (u / (0.7 + 0.3 * u)).log(),
        lambda t: -(-0.3 * math.log(0.3) - t).expm1().log(),
        0.078193,
    ),
    "f-gan": (lambda u: (u / (1 + u)).log(), lambda t: -(-t).expm1().log(), -1.192226),
    "f-alpha": (lambda u: 2 * (u**0.5 - 1), lambda t: t, 0.348503),
}


def test_every_divergence_has_a_row() -> None:
    assert set(ROWS) == {name for name in components.provided("losses") if name.startswith("f-")}


@pytest.mark.parametrize("name", ROWS)
def test_the_bound_at_the_best_critic_is_the_divergence(name: str) -> None:
    loss: FDivergence = components.build("losses", name)
    derivative, inverse, value = ROWS[name]
    # ±14 is as far as float64 carries every row's ratio; Neyman's tail needs more than the rest of them
    x = torch.linspace(-14, 14, 400_001, dtype=torch.float64)
    p, q = P.log_prob(x).exp(), Q.log_prob(x).exp()
    best = derivative(p / q)
    logits = inverse(best)
    known = torch.isfinite(logits)
    torch.testing.assert_close(loss.activation(logits)[known], best[known], rtol=1e-6, atol=1e-9)
    bound = torch.trapezoid(torch.where(known, p * loss.activation(logits) - q * loss.conjugate(logits), 0.0), x)
    assert bound.item() == pytest.approx(value, rel=2e-5 if name != "f-neyman" else 1e-3)


@pytest.mark.parametrize("name", ROWS)
def test_the_conjugate_is_a_conjugate(name: str) -> None:
    """f*(t) has the slope u at t = f'(u), and a larger logit is never less real."""
    loss: FDivergence = components.build("losses", name)
    logits = torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)
    (t_slope,) = torch.autograd.grad(loss.activation(logits).sum(), logits)
    (f_slope,) = torch.autograd.grad(loss.conjugate(logits).sum(), logits)
    assert (t_slope > 0).all()
    if name == "f-total-variation":
        return  # its f has a corner: f*' = 1 everywhere
    ratio = f_slope / t_slope
    inside = ratio > 1e-9
    derivative = ROWS[name][0]
    torch.testing.assert_close(derivative(ratio[inside]), loss.activation(logits)[inside], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ROWS)
def test_the_threshold_is_where_both_are_equally_likely(name: str) -> None:
    loss: FDivergence = components.build("losses", name)
    at = torch.tensor(loss.threshold, dtype=torch.float64)
    expected = 0.0 if name == "f-total-variation" else ROWS[name][0](torch.ones((), dtype=torch.float64)).item()
    assert loss.activation(at).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("place", [-60.0, 60.0])
def test_far_logits_have_finite_losses_and_gradients(name: str, place: float) -> None:
    loss: FDivergence = components.build("losses", name)
    fake = torch.tensor([place], requires_grad=True)
    for value in (loss.generator(fake), loss.discriminator(fake, fake)):
        (gradient,) = torch.autograd.grad(value, fake)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_alpha_below_one() -> None:
    loss = Alpha(alpha=0.5)
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    p, q = P.log_prob(x).exp(), Q.log_prob(x).exp()
    ratio = p / q
    value = torch.trapezoid(q * (ratio**0.5 - 1 - 0.5 * (ratio - 1)) / (0.5 * -0.5), x)
    best = (ratio**-0.5 - 1) / -0.5
    logits = -(2 - best).expm1().log()
    known = torch.isfinite(logits)  # float64 cannot hold the logit where q/p is above exp(13), with 1e-5 of the mass
    bound = torch.trapezoid(torch.where(known, p * loss.activation(logits) - q * loss.conjugate(logits), 0.0), x)
    assert bound.item() == pytest.approx(value.item(), rel=1e-4)


def test_alpha_near_one_has_a_threshold() -> None:
    assert Alpha(alpha=0.999).threshold == pytest.approx(-1000)
    at = torch.tensor(Alpha(alpha=0.8).threshold, dtype=torch.float64)
    assert Alpha(alpha=0.8).activation(at).item() == pytest.approx(0, abs=1e-12)


def learned(loss: FDivergence, p: torch.distributions.Normal, q: torch.distributions.Normal) -> float:
    """The bound that a critic of two layers finds on 20,000 samples, measured on fresh ones."""
    torch.manual_seed(0)
    real, fake = p.sample((20_000, 1)), q.sample((20_000, 1))
    critic = nn.Sequential(nn.Linear(1, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, fused=True)
    steps = 450
    for step in range(steps):
        rows = torch.randint(20_000, (1500,))
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps)
        optimizer.zero_grad()
        loss.discriminator(critic(real[rows]), critic(fake[rows])).backward()
        optimizer.step()
    with torch.no_grad():
        return loss.bound(critic(p.sample((400_000, 1))), critic(q.sample((400_000, 1)))).item()


@pytest.mark.parametrize("name", ROWS)
def test_a_small_critic_learns_the_divergence(name: str) -> None:
    """Neyman's integral has heavy tails where P is the narrower one; it is learned with P and Q exchanged, where its
    value is Pearson's of the other way round."""
    loss: FDivergence = components.build("losses", name)
    if name == "f-neyman":
        assert learned(loss, Q, P) == pytest.approx(ROWS["f-pearson"][2], rel=0.05)
    else:
        assert learned(loss, P, Q) == pytest.approx(ROWS[name][2], rel=0.05)
