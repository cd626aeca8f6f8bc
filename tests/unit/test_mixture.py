"""MIX+GAN: one of each is the plain game; weights are learned; it trains like any adversary."""

from __future__ import annotations

import math

import pytest
import torch

from advtasks import Adversary, Judged, MLPDiscriminator
from advtasks.errors import UsageError
from advtasks.mixture import MixtureAdversary, entropy_regularizer, mixture_payoff
from advtasks.task import total


def adversary(seed: int, **fields: object) -> Adversary:
    torch.manual_seed(seed)
    return Adversary(MLPDiscriminator(2, width=8, layers=1), **fields)  # type: ignore[arg-type]


def test_the_payoff_by_hand() -> None:
    payoffs = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    even = torch.zeros(2)
    assert mixture_payoff(payoffs, even, even).item() == 3, "equal weights: the mean over the pairs"
    assert mixture_payoff(payoffs[:1, :1], even[:1], even[:1]).item() == 1
    tilted = torch.tensor([0.0, math.log(3.0)])  # weights 1/4 and 3/4
    assert mixture_payoff(payoffs, tilted, even).item() == pytest.approx(0.25 * 1.5 + 0.75 * 4.5)
    assert entropy_regularizer(even).item() == pytest.approx(math.log(2))
    assert entropy_regularizer(tilted) > entropy_regularizer(even)


def test_a_mixture_of_one_is_the_plain_game() -> None:
    real, fake = torch.randn(6, 2), torch.randn(6, 2, requires_grad=True)
    plain, mixed = (
        adversary(0, regularizers=["r1:interval=2"]),
        MixtureAdversary([adversary(0, regularizers=["r1:interval=2"])]),
    )
    for _ in range(4):
        one, other = plain.update(fake, real), mixed.update(fake, real)
        assert {name: other[name] for name in one} == pytest.approx(one)
    torch.testing.assert_close(plain.term(fake, real), mixed.term(fake, real))
    for one, other in zip(
        plain.discriminator.parameters(), mixed.adversaries[0].discriminator.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_terms_are_weighted_and_gradients_stay_with_their_player() -> None:
    mixed = MixtureAdversary([adversary(0), adversary(1)])
    with torch.no_grad():
        mixed.logits.copy_(torch.tensor([0.0, math.log(3.0)]))
    real, fake = torch.randn(6, 2), torch.randn(6, 2, requires_grad=True)
    parts = [a.generator_terms(Judged(real, fake))["adversarial"].value for a in (adversary(0), adversary(1))]
    value = mixed.term(fake, real)
    torch.testing.assert_close(value, 0.25 * parts[0] + 0.75 * parts[1])
    value.backward()
    assert fake.grad is not None
    assert all(parameter.grad is None for parameter in mixed.parameters())


def test_several_generators_with_weights_of_their_own() -> None:
    mixed = MixtureAdversary([adversary(0), adversary(1)])
    real = torch.randn(32, 2)
    good, bad = real + 0.01 * torch.randn(32, 2), torch.full((32, 2), 6.0)
    logits = torch.zeros(2, requires_grad=True)
    for _ in range(150):
        mixed.update([good, bad], real, generator_logits=logits)
    mixed.term([good, bad], real, generator_logits=logits).backward()
    assert logits.grad is not None
    assert logits.grad[0] < 0 < logits.grad[1], "the mixture moves to the generator that fools the critics"
    with pytest.raises(UsageError, match="2 generators need as many"):
        mixed.term([good, bad], real)


def test_critics_learn_their_weights_and_state_is_kept() -> None:
    mixed = MixtureAdversary([adversary(0), adversary(1)], entropy=0.0)
    real = torch.randn(64, 2)
    for _ in range(50):
        values = mixed.update(real + 1, real)
    assert mixed.weights().detach().max() > 0.5 + 1e-4
    assert values["mixture/largest"] > 0.5
    again = MixtureAdversary([adversary(2), adversary(3)])
    again.load_state_dict(mixed.state_dict())
    torch.testing.assert_close(again.term(real, real), mixed.term(real, real))


def test_penalties_do_not_choose_critics() -> None:
    found = []
    for parts in ([], ["r1:gamma=100"]):
        mixed = MixtureAdversary([adversary(0, regularizers=parts), adversary(1, regularizers=parts)])
        with torch.no_grad():
            for parameter in mixed.adversaries[1].parameters():
                parameter.mul_(3)
        torch.manual_seed(5)
        judged = Judged(torch.randn(6, 2), torch.randn(6, 2))
        terms = mixed.phases()[0].terms((judged, 0))
        total(terms).backward()
        assert all(p.grad is not None for p in mixed.adversaries[1].discriminator.parameters())
        found.append(mixed.logits.grad.clone())
    torch.testing.assert_close(found[0], found[1])


def test_the_better_critic_gains_weight_by_the_gradient_of_softmax() -> None:
    mixed = MixtureAdversary([adversary(0), adversary(1)], entropy=0.0)
    with torch.no_grad():
        mixed.logits.copy_(torch.tensor([0.0, math.log(3.0)]))
    torch.manual_seed(5)
    judged = Judged(torch.randn(6, 2) + 2, torch.randn(6, 2))
    losses = torch.stack([part.discriminator_terms(judged)["discriminator"].value for part in mixed.adversaries])
    total(mixed.phases()[0].terms((judged, 0))).backward()
    weights = torch.tensor([0.25, 0.75])
    expected = weights * (losses - weights @ losses)
    torch.testing.assert_close(mixed.logits.grad, expected.detach())
    assert mixed.logits.grad[losses.argmin()] < 0, "a step along it raises the weight of the critic with the lower loss"


def test_the_entropy_keeps_every_critic_in_play() -> None:
    mixed = MixtureAdversary([adversary(0), adversary(0)], entropy=10.0)
    with torch.no_grad():
        mixed.logits.copy_(torch.tensor([0.0, 2.0]))
    before = mixed.weights().detach().max()
    for _ in range(5):
        mixed.update(torch.randn(6, 2), torch.randn(6, 2))
    assert mixed.weights().detach().max() < before


def test_a_mixture_takes_all_that_regularizers_want_to_see() -> None:
    """As an adversary does: zcr moves the noise."""
    torch.manual_seed(0)
    generator, latent = torch.nn.Linear(2, 2), torch.randn(6, 2)
    parts = [Adversary(MLPDiscriminator(2, width=4, layers=1), regularizers=["zcr:interval=1"]) for _ in range(2)]
    mixture = MixtureAdversary(parts)
    judged = Judged(torch.randn(6, 2), generator(latent), latent=latent, synthesize=generator)
    assert mixture.optimizer is None
    assert mixture.term(judged).requires_grad
    assert any("zcr" in name for name in mixture.update(judged))
    assert mixture.optimizer is not None


def test_fake_and_real_of_other_shapes_are_refused() -> None:
    mixture = MixtureAdversary([Adversary(MLPDiscriminator(2, width=4, layers=1)) for _ in range(2)])
    for call in (mixture.term, mixture.update):
        with pytest.raises(UsageError, match=r"fake is \(4, 2\) and real is \(1, 2\)"):
            call(torch.rand(4, 2), torch.rand(1, 2))
