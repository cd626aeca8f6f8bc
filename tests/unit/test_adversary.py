"""The adversary in somebody's own loop, and what it must never do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advtasks import Adversary, PatchDiscriminator, UNetDiscriminator, VGGStyleDiscriminator, View, components
from advtasks.errors import UsageError
from advtasks.mixture import MixtureAdversary
from advtasks.regularizers import r1_penalty
from advtasks.schedule import Schedule
from advtasks.task import Judged

LOSSES = sorted(name for name in components.provided("losses") if not components.build("losses", name).autoencoding)
CRITICS = sorted(name for name in components.provided("discriminators") if not name.startswith("mlp"))


def pair(size: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    real = torch.rand(2, 3, size, size, generator=generator)
    return torch.rand(2, 3, size, size, generator=generator).requires_grad_(True), real


def side_for(critic: str) -> int:
    """Pixels that a critic's defaults take."""
    return 64 if critic == "text" else 32


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_term_reaches_the_generator_and_never_the_critic(loss: str, critic: str) -> None:
    torch.manual_seed(0)
    regularizers = ["weight-clipping:limit=1"] if components.build("losses", loss).lipschitz else []
    made = components.build("discriminators", critic, in_channels=3)
    adversary = Adversary(made, loss=loss, regularizers=regularizers)
    fake, real = pair(side_for(critic))
    adversary.term(fake, real).backward()
    assert fake.grad is not None
    assert torch.isfinite(fake.grad).all()
    assert fake.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in adversary.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in adversary.discriminator.parameters())


@pytest.mark.parametrize("critic", CRITICS)
def test_updates_separate_real_from_fake(critic: str) -> None:
    torch.manual_seed(0)
    text = critic + (":width=8" if critic != "patch" else ":features=8:layers=1:norm=none")
    made = components.build("discriminators", text, in_channels=3)
    adversary = Adversary(made, "relativistic-paired" if critic == "autoencoder" else "minimax", learning_rate=2e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(60):
        real = torch.rand(4, 3, side_for(critic), side_for(critic), generator=generator) * 0.3
        fake = 3 * real if critic == "wavelet" else real + 0.5  # an even offset has no details
        values = adversary.update(fake, real)
    assert values["logit/real"] > values["logit/fake"] + (0.2 if critic == "autoencoder" else 1)


def test_weight_zero_computes_no_term_and_the_critic_still_learns() -> None:
    adversary = Adversary(PatchDiscriminator(3, features=4, layers=1), weight="0@0,1@2")
    fake, real = pair(16)
    assert adversary.generator_terms(Judged(real, fake), step=0) == {}
    assert adversary.term(fake, real).item() == 0
    adversary.update(fake, real)
    assert adversary.term(fake, real).item() != 0


def test_schedules() -> None:
    ramp = Schedule.of("0@10,1@20")
    assert [ramp(step) for step in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    assert Schedule.of("0.25")(7) == 0.25
    for bad in ("x", "1@2,3@1", "1@"):
        with pytest.raises(UsageError):
            Schedule.of(bad)


def test_conditions_are_joined_and_zero_weights_ignore_them() -> None:
    critic = PatchDiscriminator(6, features=4, layers=1, norm="none")
    fake, real = pair(16)
    condition = torch.rand(2, 3, 16, 16)
    adversary = Adversary(critic)
    assert adversary.term(fake, real, condition).item() != adversary.term(fake, real, condition + 0.5).item()
    with torch.no_grad():
        first = critic.blocks[0][0]
        first.weight[:, 3:] = 0
    assert adversary.term(fake, real, condition).item() == adversary.term(fake, real, condition + 0.5).item()


@pytest.mark.parametrize("size", [(32, 32), (48, 40), (128, 128), (100, 60)])
def test_critics_take_any_patch_size(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    assert VGGStyleDiscriminator(width=8)(picture).shape == (2, 1)
    assert UNetDiscriminator(width=8)(picture).shape == (2, 1, *size)
    assert PatchDiscriminator(features=8)(picture).shape[:2] == (2, 1)


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_patch_receptive_fields(layers: int, field: int) -> None:
    torch.manual_seed(0)
    critic = PatchDiscriminator(features=2, layers=layers, norm="none").double()
    picture = torch.rand(1, 3, 320, 320, dtype=torch.float64, requires_grad=True)
    logits = critic(picture)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert picture.grad is not None
    rows = picture.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    assert rows.max().item() - rows.min().item() + 1 == field


def test_parameter_counts_of_the_literature() -> None:
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(PatchDiscriminator(6, norm="batch")) == 2_768_705
    assert count(VGGStyleDiscriminator()) == 14_499_401
    assert count(UNetDiscriminator()) == 4_376_897


def test_community_names_of_spectral_norm_load() -> None:
    torch.manual_seed(0)
    ours = UNetDiscriminator(width=4)
    state = {}
    for key, value in ours.state_dict().items():
        key = key.replace("parametrizations.weight.original", "weight_orig")
        state[key.replace("parametrizations.weight.0._", "weight_")] = value
    assert "conv1.weight_orig" in state
    other = UNetDiscriminator(width=4)
    other.load_state_dict(state)
    picture = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(other.eval()(picture), ours.eval()(picture))


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(UsageError, match="did you mean 'hinge'"):
        Adversary(nn.Identity(), loss="hinge_")
    with pytest.raises(UsageError, match="no option 'gama'.*'gamma'"):
        Adversary(nn.Identity(), regularizers=["r1:gama=3"])
    with pytest.raises(UsageError, match="r1:gamma=much"):
        Adversary(nn.Identity(), regularizers=["r1:gamma=much"])
    with pytest.raises(UsageError, match="named twice"):
        Adversary(nn.Identity(), regularizers=["r1", "r1:gamma=2"])
    with pytest.raises(UsageError, match="layers must be 0 to 5"):
        components.build("discriminators", "patch:layers=9", in_channels=3)


def test_a_compiled_critic_gives_the_same_terms_and_penalties_keep_their_second_derivative(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function: compiled(function, backend="aot_eager"))
    fake, real = pair(16)
    values = []
    for compile in (False, True):
        torch.manual_seed(0)
        critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
        adversary = Adversary(critic, "hinge", regularizers=["r1", "feature-matching"], compile=compile)
        assert (adversary.main.run is not adversary.main.plain) == compile
        values.append([*adversary.update(fake, real).values(), adversary.term(fake, real).item()])
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    penalty = r1_penalty(compiled(PatchDiscriminator(3, features=4, layers=1), backend="aot_eager"), real)
    with pytest.raises(RuntimeError, match="double backward"):  # why penalties take the plain twin
        penalty.backward()


def test_paired_terms_see_both_pictures_augmented_alike() -> None:
    torch.manual_seed(0)
    critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
    adversary = Adversary(critic, regularizers=["feature-matching"], augments=["diffaugment"])
    picture = torch.rand(4, 3, 16, 16)
    terms = adversary.generator_terms(Judged(picture, picture.clone().requires_grad_(True)))
    assert terms["feature-matching"].value.item() == 0
    free = Adversary(critic, augments=["diffaugment"]).seen(Judged(picture, picture.clone()), 0)
    assert not torch.equal(free.real, free.fake)


def test_a_loop_of_ones_own_resumes_with_its_optimizer() -> None:
    runs = []
    for stop in (False, True):
        torch.manual_seed(0)
        adversary = Adversary(PatchDiscriminator(3, features=4, layers=1, norm="none"), regularizers=["r1:interval=2"])
        fake, real = pair(16)
        for step in range(6):
            if stop and step == 3:
                assert adversary.optimizer is not None
                kept = adversary.state_dict(), adversary.optimizer.state_dict()
                torch.manual_seed(1)
                critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
                adversary = Adversary(critic, regularizers=["r1:interval=2"])
                adversary.phases()
                adversary.load_state_dict(kept[0])
                assert adversary.optimizer is not None
                adversary.optimizer.load_state_dict(kept[1])
            adversary.update(fake, real)
        runs.append([parameter.detach() for parameter in adversary.discriminator.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_parts_join_the_critic_where_it_is() -> None:
    critic = PatchDiscriminator(3, features=4, layers=1, norm="none").double()
    adversary = Adversary(critic, regularizers=["ac-gan", "lecam"], conditioning="none", view=View(classes=2))
    real = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    values = adversary.update(real, real, torch.tensor([0, 1]))
    assert values["ac-gan"] > 0
    assert "ac-gan/generator" in adversary.generator_terms(
        Judged(real, real.requires_grad_(True), torch.tensor([0, 1]))
    )


def test_penalties_of_plain_functions_stay_in_float32() -> None:
    torch.manual_seed(0)
    critic, real = PatchDiscriminator(3, features=4, layers=1, norm="none"), torch.rand(2, 3, 16, 16)
    plain = r1_penalty(critic, real)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(r1_penalty(critic, real), plain)


def test_real_and_fake_share_a_pass_where_no_layer_mixes_samples() -> None:
    from advtasks.discriminators import ResNetDiscriminator, VGGStyleDiscriminator, judges_alone

    class Foreign(torch.nn.Module):
        def forward(self, picture: Tensor) -> Tensor:
            return picture.flatten(1).mean(1) - picture.mean()

    for critic, alone in (
        (PatchDiscriminator(3, features=4, layers=1, norm="none"), True),
        (PatchDiscriminator(3, features=4, layers=2, norm="instance"), True),
        (PatchDiscriminator(3, features=4, layers=2, norm="batch"), False),
        (ResNetDiscriminator(3, width=4, minibatch="stddev"), False),
        (VGGStyleDiscriminator(3, width=2), False),
        (Foreign(), False),
        (torch.nn.Sequential(torch.nn.Conv2d(3, 1, 3), torch.nn.Flatten()), True),
    ):
        assert judges_alone(critic) == alone, type(critic)
    fake, real = pair(16)
    torch.manual_seed(0)
    critic = PatchDiscriminator(3, features=4, layers=1, norm="none")
    adversary = Adversary(critic, "relativistic-average")
    calls: list[int] = []
    critic.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    critic.blocks[0].register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    joined = adversary.discriminator_terms(Judged(real, fake))
    assert calls == [2 * len(real)]
    adversary.main.joins = False
    apart = adversary.discriminator_terms(Judged(real, fake))
    for name, term in apart.items():
        torch.testing.assert_close(joined[name].value, term.value)


@pytest.mark.parametrize("mixture", [False, True])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_a_copy_of_a_trained_adversary_trains_itself(mixture: bool, copied: Callable[[Any], Any]) -> None:
    def made() -> Adversary:
        return Adversary(PatchDiscriminator(3, features=4, layers=1), "hinge", regularizers=["r1:interval=2"])

    torch.manual_seed(0)
    adversary = MixtureAdversary([made(), made()]) if mixture else made()
    fake, real = torch.rand(2, 4, 3, 16, 16).unbind()
    adversary.update(fake, real)
    other = copied(adversary)
    before = copy.deepcopy(adversary.state_dict())
    for parameter in adversary.parameters():
        parameter.grad = None
    found = other.update(fake, real)
    assert all(parameter.grad is None for parameter in adversary.parameters()), "nothing reaches the original"
    assert all(
        torch.equal(before[name], value) for name, value in adversary.state_dict().items() if "_extra" not in name
    )
    assert found == pytest.approx(adversary.update(fake, real)), "and both take the same step"
    for one, two in zip(adversary.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_weight_clipping_leaves_frozen_parts() -> None:
    critic = nn.Sequential(nn.Conv2d(3, 4, 3).requires_grad_(False), nn.Conv2d(4, 1, 3))
    frozen = critic[0].weight.clone()
    adversary = Adversary(critic, "wasserstein", regularizers=["weight-clipping:limit=0.01"])
    adversary.update(*torch.rand(2, 4, 3, 16, 16).unbind())
    assert torch.equal(critic[0].weight, frozen)
    assert critic[1].weight.abs().max() <= 0.01


def test_the_reference_of_virtual_batch_norm_is_its_own() -> None:
    adversary = Adversary(
        PatchDiscriminator(3, features=4, layers=2, norm="batch"), regularizers=["virtual-batch-norm"]
    )
    fake, real = torch.rand(2, 4, 3, 16, 16).unbind()
    kept = real.clone()
    adversary.update(fake, real)
    real.zero_()
    assert torch.equal(adversary.discriminator.reference[0], kept)


@pytest.mark.parametrize("name", ["ada:p=0.5:target=none", "diffaugment"])
def test_augments_move_conditions_of_double_precision(name: str) -> None:
    adversary = Adversary(PatchDiscriminator(6, features=4, layers=1).double(), "hinge", augments=[name])
    fake, real, condition = torch.rand(3, 4, 3, 16, 16, dtype=torch.float64).unbind()
    adversary.update(fake, real, condition)


def test_class_labels_are_integers_of_any_width() -> None:
    view = View(classes=3)
    adversary = Adversary(
        PatchDiscriminator(3, features=4, layers=1), regularizers=["ac-gan"], view=view, conditioning="none"
    )
    adversary.update(*torch.rand(2, 4, 3, 16, 16).unbind(), torch.tensor([0, 1, 2, 1], dtype=torch.int32))


def test_path_length_is_computed_in_a_rehearsal() -> None:
    adversary = Adversary(PatchDiscriminator(3, features=4, layers=1), regularizers=["path-length"])
    adversary.prepare_for_rehearsal()
    weight = torch.rand(5, 3 * 16 * 16, requires_grad=True)

    def synthesize(latent: torch.Tensor) -> torch.Tensor:
        return (latent @ weight).view(-1, 3, 16, 16)

    latent = torch.randn(4, 5)
    judged = Judged(torch.rand(4, 3, 16, 16), synthesize(latent), latent=latent, synthesize=synthesize)
    assert "path-length" in adversary.generator_terms(judged, 0)


def test_fake_and_real_of_other_shapes_are_refused_in_two_lines() -> None:
    adversary = Adversary(PatchDiscriminator(3, features=4, layers=1), "relativistic-paired")
    fake, real = torch.rand(4, 3, 16, 16), torch.rand(1, 3, 16, 16)
    for call in (adversary.term, adversary.update):
        with pytest.raises(UsageError, match=r"fake is \(4, 3, 16, 16\) and real is \(1, 3, 16, 16\)"):
            call(fake, real)
        with pytest.raises(UsageError, match="real is nothing"):
            call(fake)


def test_two_lines_take_all_that_a_regularizer_may_want() -> None:
    torch.manual_seed(0)
    generator = torch.nn.Linear(2, 2)
    critic = torch.nn.Linear(2, 1)
    adversary = Adversary(critic, regularizers=["zcr:interval=1"])
    latent = torch.randn(8, 2)
    judged = Judged(torch.rand(8, 2), generator(latent), latent=latent, synthesize=generator)
    adversary.term(judged).backward()
    assert generator.weight.grad is not None
    assert any("zcr" in name for name in adversary.update(judged))
