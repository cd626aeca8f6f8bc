"""The further regularizers against closed forms, by hand, and against singular values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from advtasks import Adversary, MLPDiscriminator
from advtasks.discriminators import CriticOutput, PatchDiscriminator
from advtasks.losses import Minimax, NonSaturating
from advtasks.regularizers import (
    HistoricalAveraging,
    LeCam,
    PathLength,
    Scored,
    TopK,
    Unrolled,
    clip_weights,
    consistency,
    contrastive_loss,
    dragan_penalty,
    feature_matching,
    flip_and_shift,
    lecam,
    lipschitz_penalty,
    matching_aware_penalty,
    max_gradient_penalty,
    mismatched_partners,
    orthogonal_penalty,
    path_lengths,
    r1_first_order,
    spectral_penalty,
    surely_wrong,
    unrolled_parameters,
    zero_centred_penalty,
)
from advtasks.regularizers.matching import MatchingAware
from advtasks.task import Judged, View


def linear(norm: float, size: int = 12) -> tuple[Tensor, object]:
    weight = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = weight / weight.norm() * norm
    return weight, lambda x: x.flatten(1) @ weight[:, None]


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("count", [1, 3, 64])
@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_penalties_of_a_linear_critic_for_any_batch_size(norm: float, count: int) -> None:
    _, critic = linear(norm)
    real, fake = pictures(count, 1), pictures(count, 2)
    assert lipschitz_penalty(critic, real, fake, weight=4.0).item() == pytest.approx(4 * max(0, norm - 1) ** 2)
    assert zero_centred_penalty(critic, real, fake, weight=4.0).item() == pytest.approx(4 * norm**2)
    assert max_gradient_penalty(critic, real, fake, weight=4.0).item() == pytest.approx(4 * norm**2)
    for form in ("paper", "official"):
        value = dragan_penalty(critic, real, weight=4.0, slope=2.0, form=form)
        assert value.item() == pytest.approx(4 * (norm - 2) ** 2)


def test_max_penalty_takes_the_steepest_place() -> None:
    critic = lambda x: 0.5 * x.flatten(1).square().sum(1, keepdim=True)  # its gradient is x  # noqa: E731
    real = torch.zeros(4, 3, 2, 2, dtype=torch.float64)
    real[2] = 5.0
    assert max_gradient_penalty(critic, real, real).item() == pytest.approx(25 * 12)
    assert zero_centred_penalty(critic, real, real, weight=1.0).item() == pytest.approx(25 * 12 / 4)


def test_dragan_moves_real_samples_as_paper_and_code_say() -> None:
    critic = lambda x: 0.5 * x.flatten(1).square().sum(1, keepdim=True)  # noqa: E731
    real = pictures(4000)
    torch.manual_seed(0)
    spread = real.std(unbiased=False).item()
    # E ‖r + δ‖² with δ of the two forms, through λ E (‖·‖ - 0)²
    paper = dragan_penalty(critic, real, weight=1.0, slope=0.0, form="paper", noise=0.7).item()
    assert paper == pytest.approx(real.square().sum((1, 2, 3)).mean().item() + 12 * 0.49, rel=0.02)
    official = dragan_penalty(critic, real, weight=1.0, slope=0.0, form="official").item()
    # per value: E r² + 2 E r E[α/2] s E U + E[α²]/4 s² E U²
    per_value = 1 / 3 + 2 * 0.5 * 0.25 * spread * 0.5 + (1 / 3) / 4 * spread**2 / 3
    assert official == pytest.approx(12 * per_value, rel=0.02)


def test_the_first_order_surrogate_of_r1() -> None:
    weight, critic = linear(3.0)
    real = pictures(5)
    torch.manual_seed(4)
    noise = torch.randn(5, 3, 2, 2)
    torch.manual_seed(4)
    expected = 0.5 * 10 * (noise.double().flatten(1) @ weight).square().mean()
    assert r1_first_order(critic, real).item() == pytest.approx(expected.item(), rel=1e-6)
    torch.manual_seed(0)
    many = torch.stack([r1_first_order(critic, pictures(2000), gamma=2.0) for _ in range(5)]).mean()
    assert many.item() == pytest.approx(9.0, rel=0.05)


def test_matching_aware_penalty_of_a_linear_critic() -> None:
    w, u = torch.randn(12, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    critic = lambda x, e: x.flatten(1) @ w[:, None] + e @ u[:, None]  # noqa: E731
    value = matching_aware_penalty(critic, pictures(5), torch.randn(5, 4, dtype=torch.float64))
    assert value.item() == pytest.approx(2 * (w.square().sum() + u.square().sum()).item() ** 3)


def test_the_contrastive_loss_by_hand() -> None:
    """log N where nothing is told apart, 0 where all is, and the sum over what is surely wrong elsewhere."""
    eye, anything = torch.eye(5, dtype=torch.float64), ~torch.eye(5, dtype=torch.bool)
    assert contrastive_loss(torch.ones_like(eye), torch.ones_like(eye), anything).item() == pytest.approx(math.log(5))
    assert contrastive_loss(eye, 3 * eye, anything, temperature=0.01).item() == pytest.approx(0, abs=1e-12)
    assert contrastive_loss(eye, eye, torch.zeros_like(anything)).item() == 0, "nothing is surely wrong"
    wrong = anything.clone()
    wrong[0, 1] = wrong[1, 0] = False
    x, e = (torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    similarity = (x / x.norm(dim=1, keepdim=True)) @ (e / e.norm(dim=1, keepdim=True)).T / 0.5
    expected = 0.0
    for matrix in (similarity, similarity.T):
        for row in range(5):
            seen = [column for column in range(5) if column == row or wrong[row, column]]
            expected += (matrix[row, seen].logsumexp(0) - matrix[row, row]).item() / 10
    assert contrastive_loss(x, e, wrong, temperature=0.5).item() == pytest.approx(expected)


def test_what_is_surely_wrong() -> None:
    embeddings = torch.tensor([[1.0, 0], [0.99, 0.1], [0, 1], [0, 2]])
    identity = torch.tensor([0, 1, 2, 3])
    expected = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]], dtype=torch.bool)
    assert torch.equal(surely_wrong(embeddings, embeddings, identity, identity), expected)
    same = torch.tensor([0, 0, 0, 1])
    expected[:2, 2] = expected[2, :2] = False
    assert torch.equal(surely_wrong(embeddings, embeddings, same, same), expected)
    silent = torch.cat((embeddings, torch.zeros(1, 2)))
    assert not surely_wrong(silent, silent, None, None)[4].any(), "no text is right for all pictures"
    assert not surely_wrong(silent, silent, None, None)[:, 4].any()
    classes = torch.tensor([0, 0, 1])
    assert torch.equal(surely_wrong(classes, classes, None, None), classes[:, None] != classes)


def test_path_lengths_of_a_linear_generator() -> None:
    matrix = torch.randn(6, 4, dtype=torch.float64)
    torch.manual_seed(2)
    noise = torch.randn(3, 6).double()
    torch.manual_seed(2)
    lengths = path_lengths(lambda w: w @ matrix.T, torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator()))
    torch.testing.assert_close(lengths, (noise @ matrix).norm(dim=1))


def test_the_path_length_average_is_a_buffer_that_follows() -> None:
    term = PathLength(weight=1.0, decay=0.9, every=2)
    judged = Judged(torch.zeros(1), torch.zeros(1), latent=torch.randn(3, 4), synthesize=lambda w: w * 2)
    scored = Scored(nn.Identity(), judged, None, NonSaturating(), step=0)
    assert term.generator_term(scored) is None, "only every second step"
    torch.manual_seed(0)
    lengths = 2 * torch.randn(3, 4).norm(dim=1)
    torch.manual_seed(0)
    value = term.generator_term(Scored(nn.Identity(), judged, None, NonSaturating(), step=1))
    average = 0.1 * lengths.mean()
    torch.testing.assert_close(term.state_dict()["average"], average)
    torch.testing.assert_close(value, 2 * (lengths - average).square().mean())


def test_orthogonal_penalty() -> None:
    square = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    assert orthogonal_penalty([square * 3]).item() == pytest.approx(0, abs=1e-20)
    weight = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    gram = weight @ weight.T
    off = gram - torch.diag(gram.diagonal())
    (gradient,) = torch.autograd.grad(orthogonal_penalty([weight]), weight)
    torch.testing.assert_close(gradient, 4 * off @ weight)


def test_spectral_penalty_equals_singular_values() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 6, 3), nn.Linear(5, 4), nn.ConvTranspose2d(3, 5, 2), nn.Embedding(6, 3)]
    matrices = [layer.weight.detach() for layer in layers]
    matrices[2] = matrices[2].transpose(0, 1)
    exact = [torch.linalg.svdvals(matrix.flatten(1))[0] for matrix in matrices]
    vectors = [torch.randn(matrix.flatten(1).shape[1]) for matrix in matrices]
    value = spectral_penalty(layers, vectors, iterations=200)
    torch.testing.assert_close(value, 0.5 * torch.stack(exact).square().sum(), rtol=1e-5, atol=1e-5)


def test_historical_averaging_by_hand() -> None:
    critic = nn.Linear(1, 1, bias=False)
    term = HistoricalAveraging(weight=1.0)
    term.apply_to(critic, View())
    scored = Scored(critic, Judged(torch.zeros(1), torch.zeros(1)), None, NonSaturating(), 0)
    assert term.discriminator_term(scored).item() == 0, "nothing has been yet"
    seen = []
    for value in (1.0, 3.0, 8.0):
        with torch.no_grad():
            critic.weight.fill_(value)
        term.after_step(critic)
        seen.append(value)
        mean = sum(seen) / len(seen)
        assert term.discriminator_term(scored).item() == pytest.approx((value - mean) ** 2)


def test_weight_clipping_follows_every_step() -> None:
    critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
    adversary = Adversary(critic, "wasserstein", regularizers=["weight-clipping:limit=0.02"], learning_rate=0.5)
    adversary.update(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))
    assert max(parameter.abs().max().item() for parameter in critic.parameters()) == pytest.approx(0.02)
    clip_weights(critic, 0.01)
    assert max(parameter.abs().max().item() for parameter in critic.parameters()) == pytest.approx(0.01)


def test_lecam_by_hand() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    anchor_real, anchor_fake = torch.tensor(2.0), torch.tensor(-0.5)
    paper = (1.5**2 + 3.5**2) / 2 + (3.0**2 + 2.0**2) / 2
    assert lecam(real, fake, anchor_real, anchor_fake).item() == pytest.approx(paper)
    low = torch.tensor([-2.0, 3.0])  # below the fakes' anchor: the code's relu leaves it out
    assert lecam(low, fake, anchor_real, anchor_fake).item() == pytest.approx((1.5**2 + 3.5**2) / 2 + 6.5)
    assert lecam(low, fake, anchor_real, anchor_fake, "official").item() == pytest.approx(3.5**2 / 2 + 6.5)
    term = LeCam(weight=1.0, decay=0.9, start=1)
    outputs = (CriticOutput(real, []), CriticOutput(fake, []))
    scored = Scored(nn.Identity(), Judged(real, fake), None, NonSaturating(), 0, outputs)
    assert term.discriminator_term(scored).item() == 0
    torch.testing.assert_close(term.get_buffer("anchors"), torch.tensor([2.0, -0.5]))
    outputs = (CriticOutput(real + 1, []), CriticOutput(fake, []))
    assert (
        term.discriminator_term(Scored(nn.Identity(), Judged(real, fake), None, NonSaturating(), 1, outputs)).item() > 0
    )
    torch.testing.assert_close(term.get_buffer("anchors"), torch.tensor([2.1, -0.5]))


def test_top_k_takes_the_best_and_their_partners() -> None:
    fake, real = torch.tensor([0.0, 3.0, 1.0, 2.0]), torch.arange(4.0)
    term = TopK(least=0.5, decay=0.5, every=10)
    assert [term.share(step) for step in (0, 9, 10, 20, 99)] == [1, 1, 0.5, 0.5, 0.5]
    assert term.select(fake, real, 0)[0] is fake
    best, partners = term.select(fake, real, 10)
    assert best.tolist() == [3, 2]
    assert partners is not None
    assert partners.tolist() == [1, 3]


def test_feature_matching_forms_by_hand() -> None:
    real, fake = [torch.tensor([[0.0, 2.0], [2.0, 2.0]])], [torch.tensor([[2.0, 0.0], [0.0, 0.0]])]
    assert feature_matching(real, fake).item() == pytest.approx(2.0)
    assert feature_matching(real, fake, "mean-l1").item() == pytest.approx(1.0)
    assert feature_matching(real, fake, "mean-squared").item() == pytest.approx(2.0)


def test_consistency_is_zero_for_the_identity_and_its_augmentation_keeps_the_pixels() -> None:
    critic = lambda x: x.flatten(1).sum(1, keepdim=True) ** 2  # noqa: E731
    one, other = pictures(3), pictures(3, 1)
    assert consistency(critic, one, one).item() == 0
    by_hand = (one.sum((1, 2, 3)) ** 2 - other.sum((1, 2, 3)) ** 2).square().mean()
    torch.testing.assert_close(consistency(critic, one, other), by_hand)
    torch.manual_seed(0)
    picture = torch.arange(64.0).view(1, 1, 8, 8).repeat(200, 1, 1, 1)
    moved = flip_and_shift(picture, most=2)
    assert set(moved.unique().tolist()) <= set(range(64))
    flips = (moved[:, 0, 4, 1] > moved[:, 0, 4, 6]).float().mean().item()
    assert 0.35 < flips < 0.65
    rows = (moved[:, 0, 4].min(1).values // 8).unique().tolist()
    assert rows == [2, 3, 4, 5, 6]


def test_no_sample_is_mismatched_with_an_equal_condition() -> None:
    torch.manual_seed(0)
    label = torch.tensor([0, 0, 1, 1, 2])
    identity = torch.tensor([0, 1, 2, 3, 2])  # the last one is the same picture as the third
    for _ in range(50):
        partner, found = mismatched_partners(label, label, identity, identity)
        assert found.all()
        assert (label[partner] != label).all()
        assert (identity[partner] != identity).all()
    near = torch.tensor([[1.0, 0.0], [0.99, 0.05], [0.0, 1.0]])
    for _ in range(50):
        partner, found = mismatched_partners(near, near, None, None, limit=0.9)
        assert partner.tolist()[:2] == [2, 2]
        assert partner[2] in (0, 1)
    _, found = mismatched_partners(label[:2], label[:2], None, None)
    assert not found.any(), "two rows of one class have no wrong partner"


def test_matching_aware_replaces_half_of_the_critics_loss() -> None:
    torch.manual_seed(0)
    critic = MLPDiscriminator(2 + 3, width=8, layers=1)
    adversary = Adversary(critic, Minimax(), regularizers=[MatchingAware()], view=View(channels=2, classes=3))
    real, label = torch.randn(4, 2), torch.tensor([0, 1, 1, 1])
    judged = Judged(real, real, label)
    terms = adversary.discriminator_terms(judged)
    assert terms["discriminator"].weight == 0.5
    assert terms["matching-aware"].weight == 0.5
    assert terms["matching/without-partner"].value.item() == 0
    alone = adversary.discriminator_terms(Judged(real, real, torch.ones(4, dtype=torch.long)))
    assert alone["matching-aware"].value.item() == pytest.approx(alone["discriminator"].value.item()), "D, whole"
    assert alone["matching/without-partner"].value.item() == 1
    # with logits 0 everywhere the whole loss is 2 log 2, as GAN-CLS's is at its optimum for equal distributions
    with torch.no_grad():
        critic.head.weight.zero_()
        critic.head.bias.zero_()
    found = adversary.discriminator_terms(judged)
    whole = sum(term.value * term.weight for term in found.values())
    assert whole.item() == pytest.approx(2 * math.log(2))


def test_unrolled_steps_on_the_quadratic_game_by_hand() -> None:
    """Objective ½θ² - θx: one step from θ is θ - η(θ - x); K steps are θ_K = x + (1-η)^K (θ - x)."""
    x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    start = {"theta": torch.tensor(1.0, dtype=torch.float64)}
    for steps in (0, 1, 4):
        found = unrolled_parameters(lambda p: 0.5 * p["theta"] ** 2 - p["theta"] * x, start, 0.3, steps)["theta"]
        assert found.item() == pytest.approx(3 + 0.7**steps * (1 - 3))
        if steps:
            (slope,) = torch.autograd.grad(found, x)
            assert slope.item() == pytest.approx(1 - 0.7**steps), "the generator sees how the critic will answer"


def test_no_unrolled_steps_are_the_plain_game() -> None:
    torch.manual_seed(0)
    critic, fake = MLPDiscriminator(2), torch.randn(4, 2, requires_grad=True)
    real = torch.randn(4, 2)
    plain = Adversary(critic).generator_terms(Judged(real, fake))["adversarial"].value
    none = Adversary(critic, regularizers=[Unrolled(steps=0)]).generator_terms(Judged(real, fake))["adversarial"].value
    some = Adversary(critic, regularizers=["unrolled:steps=3"]).generator_terms(Judged(real, fake))["adversarial"].value
    assert torch.equal(plain, none)
    assert not torch.equal(plain, some)
