"""The terms that adversaries really add, worked out by hand: which batch they look at, signs, factors and options.

The critics here are so simple that each term has one number: ½‖x‖² has the gradient x, a table looks at its condition
alone, and a head of biases at nothing.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from advtasks import MLPDiscriminator
from advtasks.discriminators import CriticOutput, ProjectionDiscriminator, pooled
from advtasks.losses import NonSaturating
from advtasks.regularizers import (
    R1,
    R2,
    LeCam,
    PathLength,
    Scored,
    consistency,
    feature_matching,
    flip_and_shift,
    lecam,
    path_lengths,
)
from advtasks.regularizers.auxiliary_classifier import (
    AuxiliaryClassifier,
    DiscriminativeClassifier,
    Information,
    TwinAuxiliaryClassifier,
)
from advtasks.regularizers.consistency import (
    BalancedConsistencyRegularization,
    ConsistencyRegularization,
    LatentConsistencyRegularization,
)
from advtasks.regularizers.input_gradient import between
from advtasks.regularizers.lipschitz import Dragan, LipschitzPenalty, MaxGradientPenalty, WassersteinGradientPenalty
from advtasks.regularizers.matching import MatchingAware, MatchingAwarePenalty
from advtasks.regularizers.regularizer import Regularizer
from advtasks.regularizers.zero_centred import R1FirstOrder, ZeroCentredPenalty
from advtasks.task import Judged

VALUES = 12
"""Of a sample."""
MANY = 20_000


class Bowl(nn.Module):
    """½‖x‖², plus ½‖y‖² of a condition."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        value = 0.5 * x.flatten(1).square().sum(1, keepdim=True)
        return value if condition is None else value + 0.5 * condition.square().sum(1, keepdim=True)


class Line(nn.Module):
    """A fixed linear critic."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.linspace(-1, 2, size)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight[:, None]


def scored(judged: Judged, critic: nn.Module | None = None, **fields: Any) -> Scored:
    return Scored(critic or Bowl(), judged, fields.pop("condition", None), NonSaturating(), 0, **fields)


def flat(value: float, count: int = MANY) -> Tensor:
    return torch.full((count, VALUES), value)


def test_between_real_and_fake_each_sample_has_its_place() -> None:
    torch.manual_seed(0)
    found = between(flat(0.0), flat(1.0))
    assert torch.equal(found, found[:, :1].expand_as(found)), "one ε for all values of a sample"
    places = found[:, 0].sort().values
    torch.testing.assert_close(places, torch.linspace(0, 1, MANY), rtol=0, atol=0.02)


ROOT = math.sqrt(VALUES)
PENALTIES: dict[str, tuple[Regularizer, float]] = {
    # the gradient's norm is u·√12, u uniform
    "wgan-gp": (WassersteinGradientPenalty(3.0), 3 * (VALUES / 3 - ROOT + 1)),
    "wgan-lp": (LipschitzPenalty(3.0), 3 * (ROOT - 1) ** 3 / (3 * ROOT)),
    "max-gp": (MaxGradientPenalty(3.0), 3 * VALUES),
    "zero-gp": (ZeroCentredPenalty(3.0), 3 * VALUES / 3),
    # real is 0 or 1 everywhere, fake the other one
    "r1": (R1(3.0), 0.0),
    "r2": (R2(3.0), 1.5 * VALUES),
    "r1-first-order": (R1FirstOrder(3.0, epsilon=1e-3), 0.0),
    "dragan": (Dragan(3.0, slope=2.0, noise=0.0), 3 * 4.0),
    "dragan official": (Dragan(3.0, slope=2.0, form="official"), 3 * 4.0),
    "dragan with noise": (Dragan(3.0, slope=0.0, noise=0.5), 3 * VALUES * 0.25),
}
TURNED = {
    "r1": 1.5 * VALUES, "r2": 0.0, "r1-first-order": 1.5 * VALUES, "dragan": 3 * (ROOT - 2) ** 2,
    "dragan official": 3 * (ROOT - 2) ** 2, "dragan with noise": 3 * VALUES * 1.25,
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", PENALTIES)
def test_where_each_penalty_looks_and_what_it_weighs(name: str, turned: bool) -> None:
    """At zeros, at ones, or between them; with options that are not the defaults."""
    torch.manual_seed(0)
    penalty, expected = PENALTIES[name]
    zeros, ones = flat(0.0), flat(1.0)
    found = penalty.discriminator_term(scored(Judged(ones, zeros) if turned else Judged(zeros, ones)))
    wanted = TURNED.get(name, expected) if turned else expected
    assert found is not None
    assert found.item() == pytest.approx(wanted, rel=0.03, abs=1e-3)


def test_the_matching_aware_penalty_looks_at_real_pairs() -> None:
    real, fake, condition = flat(1.0, 4), flat(5.0, 4), torch.full((4, 2), 2.0)
    term = MatchingAwarePenalty(weight=0.5, power=4.0)
    found = term.discriminator_term(scored(Judged(real, fake, condition), condition=condition))
    assert found.item() == pytest.approx(0.5 * (VALUES + 8) ** 2)


def test_path_lengths_of_pictures_do_not_depend_on_their_size() -> None:
    matrix = torch.randn(5, 3 * 4 * 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    latent = torch.randn(6, 5)
    synthesize = lambda w: (w @ matrix).view(-1, 3, 4, 4)  # noqa: E731
    torch.manual_seed(2)
    found = path_lengths(synthesize, latent)
    torch.manual_seed(2)
    expected = (torch.randn(6, 3, 4, 4).flatten(1) @ matrix.T).norm(dim=1) / 4
    torch.testing.assert_close(found, expected)
    term = PathLength(weight=3.0, decay=0.5, every=2)
    judged = Judged(torch.zeros(6, 3, 4, 4), synthesize(latent), latent=latent, synthesize=synthesize)
    assert term.generator_term(scored(judged)) is None
    torch.manual_seed(2)
    value = term.generator_term(scored(judged))
    assert value is not None
    by_hand = 3 * 2 * (expected - 0.5 * expected.mean().detach()).square().mean()  # the average carries no gradient
    torch.testing.assert_close(value, by_hand)
    (got,), (wanted,) = (torch.autograd.grad(one, matrix, retain_graph=True) for one in (value, by_hand))
    torch.testing.assert_close(got, wanted)


def pictures(seed: int) -> Tensor:
    return torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(seed))


def test_cr_looks_at_real_pictures_and_bcr_at_both() -> None:
    critic, judged = Line(3 * 36), Judged(pictures(0), pictures(1))
    torch.manual_seed(3)
    real = 2 * consistency(critic, judged.real, flip_and_shift(judged.real))
    fake = 2 * consistency(critic, judged.fake, flip_and_shift(judged.fake))
    assert real.item() != pytest.approx(fake.item())
    for term, expected in (
        (ConsistencyRegularization(2.0), real),
        (BalancedConsistencyRegularization(2.0), real + fake),
    ):
        torch.manual_seed(3)
        torch.testing.assert_close(term.discriminator_term(scored(judged, critic)), expected)


@pytest.mark.parametrize(("sigma", "bound"), [(0.3, 1e9), (0.3, 0.05), (0.0, 1.0)])
def test_latent_consistency_by_hand(sigma: float, bound: float) -> None:
    """Also where the step's fakes are of a generator that has learned since, as with simultaneous updates."""
    matrix, latent, critic = torch.randn(4, VALUES), torch.randn(7, 4), Line(VALUES)
    term = LatentConsistencyRegularization(2.0, 3.0, sigma, bound)
    synthesize = lambda z: z @ matrix  # noqa: E731
    stale = Judged(flat(0.0, 7), torch.randn(7, VALUES), latent=latent, synthesize=synthesize)
    torch.manual_seed(4)
    found = term.discriminator_term(scored(stale, critic))
    torch.manual_seed(4)
    moved = sigma * torch.randn(7, 4) @ matrix
    torch.testing.assert_close(found, 2 * critic(moved).square().mean(), rtol=1e-4, atol=1e-6)
    judged = Judged(flat(0.0, 7), synthesize(latent), latent=latent, synthesize=synthesize)
    torch.manual_seed(4)
    value = term.generator_term(scored(judged, critic))
    torch.testing.assert_close(value, -3 * moved.square().mean(1).clamp(max=bound).mean(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["paper", "official"])
def test_the_second_step_of_lecam_by_hand(form: Any) -> None:
    term = LeCam(weight=0.5, decay=0.9, form=form)
    for real, fake in (([1.0, 3.0], [-1.0, 0.0]), ([-2.0, 4.0], [3.0, 0.0])):
        outputs = tuple(CriticOutput(torch.tensor(logits), []) for logits in (real, fake))
        value = term.discriminator_term(scored(Judged(flat(0.0, 2), flat(0.0, 2)), outputs=outputs))
    anchors = 0.9 * torch.tensor([2.0, -0.5]) + 0.1 * torch.tensor([1.0, 1.5])
    torch.testing.assert_close(term.get_buffer("anchors"), anchors)
    real_anchor, fake_anchor = anchors.tolist()
    assert (real_anchor, fake_anchor) == pytest.approx((1.9, -0.3))
    low, high = (-2 + 0.3) ** 2, (4 + 0.3) ** 2
    above, below = (3 - 1.9) ** 2, 1.9**2
    expected = (low + high + above + below if form == "paper" else high + below) / 2
    assert value.item() == pytest.approx(0.5 * expected)
    assert lecam(torch.tensor([4.0]), torch.tensor([0.0]), anchors[0], anchors[1]).item() == pytest.approx(high + below)


class Table(nn.Module):
    """A logit for each class, whatever the sample."""

    logits = torch.tensor([1.0, -2.0])

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.logits[condition][:, None]


@pytest.mark.parametrize(("identity", "rows"), [(None, [0, 1, 2]), ([0, 0, 1], [0, 2])])
def test_matching_aware_calls_the_wrong_condition_wrong(identity: list[int] | None, rows: list[int]) -> None:
    """Two classes, so that the wrong one is known; rows 0 and 1 of one sample are no partners, and row 1 has no
    other."""
    label = torch.tensor([0, 1, 1])
    own, other = Table.logits[label], Table.logits[1 - label]
    judged = Judged(flat(0.0, 3), flat(0.0, 3), label, identity=None if identity is None else torch.tensor(identity))
    outputs = (CriticOutput(own[:, None], []), CriticOutput(torch.zeros(3, 1), []))
    found = MatchingAware().discriminator_term(scored(judged, Table(), condition=label, outputs=outputs))
    expected = torch.stack([softplus(-own[row]) + softplus(other[row]) for row in rows]).mean()
    torch.testing.assert_close(found, expected)


def head_of(*biases: list[float]) -> nn.ModuleList:
    """Heads that say the same of everything."""
    heads = nn.ModuleList(nn.Linear(2, len(bias)) for bias in biases)
    for head, bias in zip(heads, biases, strict=True):
        head.weight.data.zero_()
        head.bias.data.copy_(torch.tensor(bias))
    return heads


def classified(term: Any, *biases: list[float]) -> tuple[float, float]:
    """The critic's and the generator's part, all labels 0."""
    term.head = head_of(*biases)
    output = CriticOutput(torch.zeros(4, 1), [torch.ones(4, 2)])
    one = scored(Judged(flat(0.0, 4), flat(0.0, 4), torch.zeros(4, dtype=torch.long)), outputs=(output, output))
    return term.discriminator_term(one).item(), term.generator_term(one).item()


def test_class_heads_by_hand() -> None:
    even, log3 = [0.0, 0.0, 0.0], math.log(3)
    assert classified(AuxiliaryClassifier(), even) == pytest.approx((2 * log3, log3))
    assert classified(AuxiliaryClassifier(fake=False), even) == pytest.approx((log3, log3))
    assert classified(TwinAuxiliaryClassifier(), even, even) == pytest.approx((2 * log3, 0))
    assert classified(DiscriminativeClassifier(), even, even) == pytest.approx((2 * math.log(6), 0), abs=1e-6)
    right = math.log(math.e**2 + 2) - 2  # cross-entropy of a head with logit 2 at class 0
    wrong = math.log(math.e + 2)  # and of one with logit 1 at class 1
    assert classified(AuxiliaryClassifier(0.5), [2.0, 0, 0]) == pytest.approx((right, 0.5 * right))
    twin = classified(TwinAuxiliaryClassifier(0.5), [2.0, 0, 0], [0, 1.0, 0])
    assert twin == pytest.approx((0.5 * (right + wrong), 0.5 * (right - wrong)))
    both = math.log(math.e**2 + math.e + 4)
    own = classified(DiscriminativeClassifier(0.5), [2.0, 0, 0], [1.0, 0, 0])
    assert own == pytest.approx((0.5 * (2 * both - 3), -0.5)), "the generator gains where its class looks real"


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (TwinAuxiliaryClassifier(), 2 * math.log(1 + math.exp(-2))),
        (DiscriminativeClassifier(), 2 * (math.log(math.exp(2) + math.exp(-2) + 2) - 2)),
    ],
)
def test_class_heads_tell_real_from_fake(term: Any, expected: float) -> None:
    """The twin learns from fakes alone, and ADC-GAN's halves are of real and of fake samples: the logit of class 0 is 2
    of the first head where samples are real and of the second one where they are not, and -2 elsewhere."""
    term.head = head_of([0.0, 0.0], [0.0, 0.0])
    for head, sign in zip(term.head, (1.0, -1.0), strict=True):
        head.weight.data[0] = sign
    real, fake = (CriticOutput(torch.zeros(4, 1), [torch.full((4, 2), value)]) for value in (1.0, -1.0))
    one = scored(Judged(flat(0.0, 4), flat(0.0, 4), torch.zeros(4, dtype=torch.long)), outputs=(real, fake))
    assert term.discriminator_term(one).item() == pytest.approx(expected)


def test_information_by_hand() -> None:
    output = CriticOutput(torch.zeros(4, 1), [torch.ones(4, 2)])
    categories, floats = Information(0.5, categories=3), Information(0.5, dimensions=2)
    categories.head, floats.head = head_of([2.0, 0.0, 0.0])[0], head_of([1.0, 2.0])[0]
    for term, code, expected in (
        (categories, torch.zeros(4, dtype=torch.long), 0.5 * (math.log(math.e**2 + 2) - 2)),
        (floats, torch.zeros(4, 2), 0.5 * 0.5 * (1 + 4)),
    ):
        one = scored(Judged(flat(0.0, 4), flat(0.0, 4), code=code), outputs=(output, output))
        assert term.discriminator_term(one).item() == pytest.approx(expected)
        assert term.generator_term(one).item() == pytest.approx(expected)


def test_feature_matching_is_a_mean_over_layers() -> None:
    real = [torch.zeros(2, 2), torch.zeros(2, 3, 4)]
    fake = [torch.full((2, 2), 1.0), torch.full((2, 3, 4), 4.0)]
    assert feature_matching(real, fake).item() == 2.5
    assert feature_matching(real, fake, "mean-squared").item() == (1 + 16) / 2


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1.0), ("sqrt", 8**-0.5)])
def test_a_projection_adds_the_inner_product(scaling: Any, factor: float) -> None:
    torch.manual_seed(0)
    plain = MLPDiscriminator(2, width=8, layers=1)
    critic = ProjectionDiscriminator(plain, classes=3, scaling=scaling)
    sample, label = torch.randn(5, 2), torch.tensor([0, 1, 2, 0, 1])
    seen = plain.output(sample)
    expected = (critic.embed(label) * pooled(seen.features[-1])).sum(1, keepdim=True) * factor
    torch.testing.assert_close(critic.output(sample, label).logits - seen.logits, expected)
