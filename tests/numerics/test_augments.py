"""Augmentations: differentiable, on real and fake alike, no-ops where they should be, controllers by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from advtasks import Adversary, PatchDiscriminator
from advtasks.augments import (
    AdaptiveAugment,
    AdaptivePseudoAugment,
    DiffAugment,
    InstanceNoise,
    OverfittingController,
    pack,
)
from advtasks.errors import UsageError
from advtasks.task import Judged


def pictures(count: int = 4, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "augment",
    [DiffAugment(p=0.0), AdaptiveAugment(p=0.0), AdaptivePseudoAugment(p=0.0), InstanceNoise(0.0)],
    ids=lambda a: a.name,
)
def test_probability_0_changes_nothing(augment: torch.nn.Module) -> None:
    judged = Judged(pictures(), pictures(seed=1))
    seen = augment(judged, 0)
    torch.testing.assert_close(seen.real, judged.real, rtol=0, atol=2e-6)
    torch.testing.assert_close(seen.fake, judged.fake, rtol=0, atol=2e-6)


def test_gradient_equals_central_differences_through_every_policy() -> None:
    for augment in (DiffAugment(), AdaptiveAugment(p=1.0)):
        sample = pictures(2, 8).requires_grad_(True)
        torch.manual_seed(0)
        draws = augment.draw(sample, 0)
        direction, weight = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
        (gradient,) = torch.autograd.grad((augment.transform(sample, draws) * weight).sum(), sample)
        with torch.no_grad():  # linear in the pixels, so a wide step is exact
            up, down = (augment.transform(sample + s * direction, draws) for s in (0.5, -0.5))
        assert (gradient * direction).sum().item() == pytest.approx(((up - down) * weight).sum().item(), rel=1e-3)


def test_translation_moves_whole_pixels_and_cutout_makes_holes() -> None:
    sample = torch.arange(256.0).view(1, 1, 16, 16).repeat(50, 3, 1, 1) / 256
    torch.manual_seed(0)
    moved = DiffAugment("translation").eval()(Judged(sample, sample), 0).real
    known = torch.cat((torch.tensor([0.5]), sample.unique()))
    distance = (moved.unique()[:, None] - known[None]).abs().min(1).values
    assert distance.max() < 1e-5
    holes = DiffAugment("cutout")(Judged(sample + 1, sample), 0).real
    share = (holes == 0.5).float().mean((1, 2, 3))
    assert share.max().item() == pytest.approx(0.25)
    assert share.min() > 0
    with pytest.raises(UsageError, match="unknown policy 'colour'"):
        DiffAugment("colour")


def test_colours_keep_what_they_should() -> None:
    grey = torch.full((20, 3, 8, 8), 0.3)
    seen = DiffAugment("color")(Judged(grey, grey), 0).real
    torch.testing.assert_close(seen.std(1), torch.zeros(20, 8, 8), rtol=0, atol=1e-6)
    augment = AdaptiveAugment(p=1.0)
    torch.manual_seed(0)
    color = augment.draw(grey, 0)["color"]
    # hue and saturation leave the grey axis alone: the image of (1, 1, 1) stays on it
    axis = color[:, :, :3].sum(2)
    torch.testing.assert_close(axis, axis[:, :1].expand(-1, 3), rtol=1e-4, atol=1e-5)


def test_a_picture_condition_moves_with_both_pictures() -> None:
    sample = pictures(6)
    judged = Judged(sample, sample.clone(), sample.clone())
    for augment in (DiffAugment("translation+cutout"), AdaptiveAugment(p=1.0)):
        torch.manual_seed(3)
        seen = augment(judged, 0)
        torch.testing.assert_close(seen.real, seen.fake)
        assert seen.condition is not None
        if augment.name == "diffaugment":
            torch.testing.assert_close(seen.real, seen.condition)
        free = augment(dataclasses.replace(judged, condition=None), 0)
        assert not torch.allclose(free.real, free.fake), "without a condition each has draws of its own"


def test_quarter_turns_and_flips_are_exact() -> None:
    """The geometry's matrices, with everything else switched off by hand."""
    sample = pictures(1, 6)
    augment = AdaptiveAugment(p=0.0)
    identity = augment.draw(sample, 0)
    flip = {**identity, "place": identity["place"] @ torch.diag(torch.tensor([-1.0, 1, 1]))}
    torch.testing.assert_close(augment.transform(sample, flip), sample.flip(3), rtol=0, atol=1e-5)
    turn = {**identity, "place": torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])}
    turned = augment.transform(sample, turn)
    assert min((turned - sample.rot90(k, (2, 3))).abs().max().item() for k in (1, 3)) < 1e-5


def test_the_controller_by_hand() -> None:
    controller = OverfittingController(p=0.1, target=0.6, interval=2, speed=100.0, most=0.5)
    sure, unsure = torch.tensor([2.0, 3.0, 1.0, 4.0]), torch.tensor([2.0, -3.0, 1.0, -4.0])
    expected = 0.1
    for step, logits in enumerate([sure, sure, unsure, unsure, sure, sure]):
        controller.observe(logits, 0.0, step, images=4)
        if step % 2:
            expected += 0.08 if logits is sure else -0.08
        assert controller.p.item() == pytest.approx(expected), step
    for step in range(100, 140):
        controller.observe(sure, 0.0, step, images=4)
    assert controller.p.item() == 0.5, "never above the most"
    assert controller.observe(sure, 10.0, 0, images=4)["overfitting"] < 1, "the threshold counts"


def test_p_belongs_to_the_state_and_moves_with_the_adversary() -> None:
    torch.manual_seed(0)
    adversary = Adversary(PatchDiscriminator(3, features=4, layers=1), augments=["ada:interval=1:speed=100:target=-1"])
    for _ in range(3):
        values = adversary.update(pictures(), pictures(seed=1))
    assert values["ada/p"] > 0
    again = Adversary(PatchDiscriminator(3, features=4, layers=1), augments=["ada"])
    again.load_state_dict(adversary.state_dict())
    assert again.augments[0].controller.p.item() == pytest.approx(values["ada/p"])


def test_pseudo_augmentation_replaces_reals_for_the_critic_only() -> None:
    augment = AdaptivePseudoAugment(p=0.5, most=1.0)
    real, fake = torch.zeros(1000, 2), torch.ones(1000, 2)
    seen = augment(Judged(real, fake), 0)
    rows = seen.real.mean(1)
    assert set(rows.tolist()) == {0.0, 1.0}
    assert 0.4 < rows.mean() < 0.6
    assert torch.equal(seen.fake, fake)
    assert augment(Judged(real, fake.requires_grad_(True)), 0).real is real


def test_instance_noise_fades() -> None:
    noise = InstanceNoise(sigma=0.4, steps=100)
    assert [noise.level(step) for step in (0, 50, 100, 1000)] == [0.4, 0.2, 0.0, 0.0]
    torch.manual_seed(0)
    seen = noise(Judged(torch.zeros(500, 2), torch.zeros(500, 2)), 50)
    assert seen.real.std().item() == pytest.approx(0.2, rel=0.1)
    assert seen.fake.std().item() == pytest.approx(0.2, rel=0.1)
    assert not torch.equal(seen.real, seen.fake)


def test_packing() -> None:
    judged = Judged(torch.arange(12.0).view(4, 3), torch.zeros(4, 3), torch.ones(4, 1))
    assert pack(judged, 1) is judged
    packed = pack(judged, 2)
    assert packed.real.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert packed.condition is not None
    assert packed.condition.shape == (2, 2)
    assert pack(Judged(pictures(), pictures()), 4).fake.shape == (1, 12, 16, 16)
    with pytest.raises(UsageError, match="pack=3 does not divide the batch of 4"):
        pack(judged, 3)
    plain = Adversary(PatchDiscriminator(3, features=4, layers=1), pack=1)
    many = Adversary(PatchDiscriminator(6, features=4, layers=1), pack=2)
    assert plain.term(pictures(), pictures()).shape == many.term(pictures(), pictures()).shape


def test_the_colours_of_diffaugment_by_hand() -> None:
    """Brightness by up to ±½, saturation from 0 to 2, contrast from ½ to 3/2 (Zhao et al. 2020, their code)."""
    picture = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    picture[..., 0] += 0.1
    grey = picture.mean(1, keepdim=True)
    mean = picture.mean()
    for place, (low, high) in enumerate(
        [
            (picture - 0.25, picture + 0.25),
            (grey.expand_as(picture), grey + 2 * (picture - grey)),
            (mean + 0.5 * (picture - mean), mean + 1.5 * (picture - mean)),
        ]
    ):
        for value, expected in ((0.0, low), (1.0, high)):
            uniform = torch.full((1, 7), 0.5)
            uniform[0, place] = value
            torch.testing.assert_close(DiffAugment._color(picture, uniform), expected)
