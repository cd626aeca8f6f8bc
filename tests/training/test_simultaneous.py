"""Simultaneous updates: one pass of the critic gives both phases the gradients that two passes give."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from test_trainer import Toy, config, trainer, whole_and_resumed
from torch import Tensor, nn

from advtasks.adversary import Adversary
from advtasks.discriminators import PatchDiscriminator
from advtasks.task import Judged, total
from advtasks.training.loop import Trainer


def draw_the_same(*_: Any) -> None:
    torch.manual_seed(2)


def gradients(adversary: Adversary, real: Tensor, generator: nn.Module, z: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Of a step's main terms: the generator's and then the critic's, both before any of them moves."""
    generator.zero_grad()
    judged = Judged(real, generator(z))
    total(adversary.generator_terms(judged, 3)).backward()
    assert all(parameter.grad is None for parameter in adversary.parameters())
    total(adversary.discriminator_terms(judged, 3)).backward()
    found = [[p.grad.clone() for p in part.parameters() if p.grad is not None] for part in (generator, adversary)]
    return found[0], found[1]


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
@pytest.mark.parametrize(
    ("loss", "parts", "augments"),
    [
        ("non-saturating", [], []),
        ("hinge", ["feature-matching", "r1"], []),
        ("relativistic-average", ["lecam"], []),
        ("least-squares", ["feature-matching:form=mean-squared", "pulling-away"], []),
        ("relativistic-paired", ["top-k:every=1:decay=0.5:least=0.5"], []),
        ("wasserstein", ["wgan-gp"], []),
        ("hinge", ["unrolled:steps=1"], []),
        ("hinge", [], ["diffaugment"]),
        ("hinge", [], ["apa:p=0.5"]),
    ],
)
def test_one_pass_gives_the_gradients_of_two(loss: str, parts: list[str], augments: list[str], norm: str) -> None:
    if norm == "batch":  # it forbids penalties of each sample's gradient
        parts = [part for part in parts if part not in ("r1", "wgan-gp")]
        loss = "hinge" if loss == "wasserstein" else loss
    torch.manual_seed(0)
    dtype = torch.float32 if augments or "unrolled:steps=1" in parts else torch.float64
    critic = PatchDiscriminator(3, features=4, layers=2, norm=norm).to(dtype)
    generator = nn.Conv2d(3, 3, 3, padding=1).to(dtype)
    real, z = torch.rand(2, 4, 3, 16, 16, dtype=dtype).unbind()
    found = []
    for updates in ("alternating", "simultaneous"):
        adversary = Adversary(copy.deepcopy(critic), loss, regularizers=parts, augments=augments, updates=updates)
        torch.manual_seed(1)
        for augment in adversary.augments:  # of two passes each is augmented for itself: give both the same draws
            augment.register_forward_pre_hook(draw_the_same)
        found.append(gradients(adversary, real, generator, z))
    for mine, theirs in zip(*found, strict=True):
        assert len(mine) == len(theirs) > 0
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12 if dtype == torch.float64 else 1e-6)


def count_samples(adversary: Any, seen: list[int]) -> None:
    adversary.discriminator.head.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))


@pytest.mark.parametrize(("updates", "samples"), [("alternating", 12), ("simultaneous", 8)])
def test_a_step_saves_a_pass(updates: str, samples: int) -> None:
    adversary = Adversary(PatchDiscriminator(3, features=4, layers=1, norm="batch"), "hinge", updates=updates)  # type: ignore[arg-type]
    seen: list[int] = []
    count_samples(adversary, seen)
    real, fake = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16, requires_grad=True)
    adversary.term(fake, real).backward()
    adversary.update(fake, real)
    assert sum(seen) == samples
    assert fake.grad is not None
    seen.clear()
    adversary.update(fake, real)  # of samples that no term was asked for, or once more
    adversary.term(fake, real)
    adversary.update(torch.rand(4, 3, 16, 16), real)
    assert sum(seen) == 8 + (8 if updates == "simultaneous" else 4) + 8


class Random(Toy):
    """Draws its own noise for each output."""

    shares_fake: ClassVar[bool] = False
    calls: ClassVar[list[bool]] = []

    def generate(self, generator: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        self.calls.append(torch.is_grad_enabled())
        return generator(batch["x"] + torch.rand_like(batch["x"]))


def simultaneous(**fields: Any) -> Any:
    base = config()
    return dataclasses.replace(base, adversary=dataclasses.replace(base.adversary, updates="simultaneous", **fields))


def test_both_phases_answer_the_same_fakes(tmp_path: Path) -> None:
    Random.calls.clear()
    run = trainer(tmp_path, simultaneous(regularizers=()), task=Random)
    seen: list[int] = []
    count_samples(run.networks.adversaries["image"], seen)
    at: list[int] = []
    take = run._take_step

    def count(*arguments: Any) -> None:
        Random.calls.clear()
        seen.clear()
        take(*arguments)
        at.append(len(Random.calls) * 100 + sum(seen))

    run._take_step = count  # type: ignore[method-assign]
    run.train()
    assert at == [100] * 5 + [106] * 7  # one output a step; three real samples and three fakes


@pytest.mark.parametrize("options", [{}, {"steps_per_generator_step": 2}])
def test_a_resumed_run_is_bit_identical(tmp_path: Path, options: dict[str, Any]) -> None:
    settings = simultaneous(**options)

    def made(name: str) -> Trainer:
        return trainer(tmp_path / name, settings, names=("image", "corner"))

    whole_and_resumed(made, 9)


def test_the_generator_moves_as_if_the_critic_had_not(tmp_path: Path) -> None:
    """After one step of plain SGD without dropout or batch norm both networks hold closed-form values."""
    settings = simultaneous(regularizers=(), optimizer="sgd", learning_rate=0.1, weight=1.0)
    stage = dataclasses.replace(settings.stages[1], steps=1, learning_rate=0.1, schedule="constant")
    settings = dataclasses.replace(settings, optimizer="sgd", stages=(stage,))
    run = trainer(tmp_path, settings, task=Straight)
    generator, adversary = copy.deepcopy(run.networks.generator), copy.deepcopy(run.networks.adversaries["image"])
    batches: list[Tensor] = []
    Straight.batches = batches
    run.train()
    x = batches[0]
    output = generator(x)
    fake, real = adversary.discriminator(output), adversary.discriminator(x)
    own = nn.functional.softplus(-fake).mean() + (output - x).abs().mean()
    theirs = nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()
    for before, loss, after in (
        (generator, own, run.networks.generator),
        (adversary.discriminator, theirs, run.networks.adversaries["image"].discriminator),
    ):
        found = torch.autograd.grad(loss, list(before.parameters()), retain_graph=True)
        for old, slope, new in zip(before.parameters(), found, after.parameters(), strict=True):
            torch.testing.assert_close(new, old - 0.1 * slope, rtol=1e-5, atol=1e-7)


class Straight(Toy):
    batches: ClassVar[list[Tensor]] = []

    def generator(self) -> nn.Module:
        return nn.Conv2d(3, 3, 3, padding=1)

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.batches.append(batch["x"])
        return batch


def test_a_pass_without_gradients_or_under_another_condition_is_not_taken_up() -> None:
    adversary = Adversary(PatchDiscriminator(4, features=4, layers=1), "hinge", updates="simultaneous")
    real, fake, one = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16, requires_grad=True), torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        adversary.term(fake, real, one)
    adversary.update(fake, real, one)
    adversary.term(fake, real, one)
    judged = copy.deepcopy(adversary).discriminator_terms(Judged(real, fake, 1 - one))  # a pass cannot be copied
    found = adversary.discriminator_terms(Judged(real, fake, 1 - one))
    assert torch.equal(found["discriminator"].value, judged["discriminator"].value)
