"""One suite for every loss, regularizer and augment: derivatives, who receives a gradient, parts of a batch, precision.

Values in closed form are in test_losses.py and test_regularizers.py; ranks are in test_ranks.py.
"""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from catalogue import AUGMENTS, LOSSES, REGULARIZERS, Generator, condition_of, fits, make_adversary, make_judged
from torch import Tensor, nn

from advtasks import Adversary, components
from advtasks.task import Terms, total

ROWS = [(loss, "") for loss in LOSSES] + [("non-saturating", name) for name in REGULARIZERS]
IDS = [regularizer or loss for loss, regularizer in ROWS]


def row(loss: str, regularizer: str, dtype: torch.dtype = torch.float64) -> tuple[Adversary, Generator]:
    adversary = make_adversary(loss, (regularizer,) if regularizer else (), dtype=dtype)
    for lecam in (r for r in adversary._regularizers() if r.name == "lecam"):
        lecam.get_buffer("anchors").copy_(torch.tensor([0.3, -0.2]))
        lecam.get_buffer("steps").fill_(1)
    generator = Generator().to(dtype)
    if regularizer == "virtual-batch-norm":  # the critic's phase comes first, and shows it a real batch
        adversary.criticize(make_judged(generator, dtype=dtype).real)
    return adversary, generator


def critic_terms(adversary: Adversary, generator: Generator, rows: slice = slice(0, 8)) -> Terms:
    """All terms of the critic at step 1, drawn from one seed, without a trace in the adversary's state."""
    torch.manual_seed(3)
    judged = make_judged(generator, rows, condition_of(adversary), next(generator.parameters()).dtype)
    terms: Terms = {}
    for phase in copy_state(adversary).phases():
        terms.update(phase.terms((judged, 1)))
    return terms


def generator_terms(adversary: Adversary, generator: Generator, rows: slice = slice(0, 8)) -> Terms:
    torch.manual_seed(3)
    judged = make_judged(generator, rows, condition_of(adversary), next(generator.parameters()).dtype)
    return copy_state(adversary).generator_terms(judged, 1)


def copy_state(adversary: Adversary) -> Adversary:
    """A copy with the same parameter objects, and buffers of its own."""
    shared = {id(parameter): parameter for parameter in adversary.parameters()}
    return copy.deepcopy(adversary, shared)


def directional(module: nn.Module, terms: object, *, step: float = 1e-5) -> tuple[float, float]:
    """The derivative of the total along a random direction of the parameters: by autograd, and by central differences
    of fourth order."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    draws = torch.Generator().manual_seed(17)
    direction = [torch.randn(p.shape, generator=draws, dtype=p.dtype) for p in parameters]
    gradients = torch.autograd.grad(total(terms()), parameters, allow_unused=True)  # type: ignore[operator]
    exact = sum((g * d).sum().item() for g, d in zip(gradients, direction, strict=True) if g is not None)
    values = {}
    for place in (-2, -1, 1, 2):
        with torch.no_grad():
            for parameter, change in zip(parameters, direction, strict=True):
                parameter.add_(place * step * change)
        values[place] = total(terms()).item()  # type: ignore[operator]
        with torch.no_grad():
            for parameter, change in zip(parameters, direction, strict=True):
                parameter.sub_(place * step * change)
    numeric = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
    return exact, numeric


@pytest.mark.parametrize(("loss", "regularizer"), ROWS, ids=IDS)
def test_the_critics_gradient_equals_central_differences(loss: str, regularizer: str) -> None:
    adversary, generator = row(loss, regularizer)
    exact, numeric = directional(adversary, lambda: critic_terms(adversary, generator))
    assert exact == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("loss", "regularizer"), ROWS, ids=IDS)
def test_the_generators_gradient_equals_central_differences(loss: str, regularizer: str) -> None:
    adversary, generator = row(loss, regularizer)
    exact, numeric = directional(generator, lambda: generator_terms(adversary, generator))
    assert exact != 0
    assert exact == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_each_phase_trains_its_own_network(loss: str, regularizer: str) -> None:
    if not fits(loss, regularizer):
        pytest.skip("refused; see test_combinations.py")
    adversary, generator = row(loss, regularizer, torch.float32)
    total(generator_terms(adversary, generator)).backward()
    assert all(parameter.grad is None for parameter in adversary.parameters()), "the critic is frozen"
    received = [parameter.grad for parameter in generator.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in received)
    assert sum(gradient.abs().sum() for gradient in received if gradient is not None) > 0
    generator.zero_grad(set_to_none=True)
    total(critic_terms(adversary, generator)).backward()
    assert all(parameter.grad is None for parameter in generator.parameters()), "the generator is not there"
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in adversary.parameters())


def regularized_value(terms: Terms, names: set[str]) -> Tensor:
    return torch.stack([term.value * term.weight for name, term in terms.items() if name in names]).sum()


@pytest.mark.parametrize(("loss", "regularizer"), ROWS, ids=IDS)
def test_parts_of_a_batch(loss: str, regularizer: str) -> None:
    """Four micro-batches accumulate to one batch, unless the row says that it compares the samples of a batch."""
    adversary, generator = row(loss, regularizer)
    compares = adversary.loss.batch_statistics or any(r.batch_statistics for r in adversary._regularizers())
    random = {
        "wgan-gp",
        "wgan-lp",
        "zero-gp",
        "dragan",
        "r1-first-order",
        "cr",
        "bcr",
        "zcr",
        "matching-aware",
        "gan-int",
    }
    if {r.name for r in adversary._regularizers()} & random:
        pytest.skip("draws differ between the batch and its parts; test_ranks.py compares with equal draws")
    for module, terms in ((adversary, critic_terms), (generator, generator_terms)):
        parameters = list(module.parameters())
        whole = torch.autograd.grad(total(terms(adversary, generator)), parameters, allow_unused=True)
        parts = [torch.zeros_like(parameter) for parameter in parameters]
        for start in range(0, 8, 2):
            found = torch.autograd.grad(
                total(terms(adversary, generator, slice(start, start + 2))), parameters, allow_unused=True
            )
            parts = [sum_ if part is None else sum_ + part / 4 for sum_, part in zip(parts, found, strict=True)]
        if not compares:
            for one, other in zip(whole, parts, strict=True):
                torch.testing.assert_close(torch.zeros_like(other) if one is None else one, other)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in REGULARIZERS
        if components.build("regularizers", {"info-gan": "info-gan:categories=3"}.get(n, n)).second_order
    ],
)
def test_penalties_are_float32_under_bf16(name: str) -> None:
    adversary, generator = row("non-saturating", name, torch.float32)
    plain = {key: term.value for key, term in critic_terms(adversary, generator).items()}
    adversary.autocast = lambda: torch.autocast("cpu", torch.bfloat16)
    mixed = {key: term.value for key, term in critic_terms(adversary, generator).items()}
    if name in plain:
        assert mixed[name].dtype == torch.float32
        assert torch.equal(mixed[name], plain[name]), "penalties never see bfloat16"
    assert not torch.equal(mixed["discriminator"], plain["discriminator"]), "the main loss does"


@pytest.mark.parametrize("augment", AUGMENTS)
def test_augments_pass_the_gradient_to_the_generator(augment: str) -> None:
    adversary = make_adversary("non-saturating", augments=(augment,))
    generator = Generator()
    total(generator_terms(adversary, generator)).backward()
    assert sum(p.grad.abs().sum() for p in generator.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("augment", [name for name in AUGMENTS if name != "apa"])
def test_augments_change_real_and_fake_in_both_phases(augment: str) -> None:
    adversary = make_adversary("non-saturating", augments=(augment,))
    judged = make_judged(Generator())
    judged = dataclasses.replace(judged, real=judged.fake.detach())
    torch.manual_seed(0)
    for shown in (judged, dataclasses.replace(judged, fake=judged.fake.detach())):
        seen = adversary.seen(shown, 0)
        assert not torch.equal(seen.real, judged.real)
        assert not torch.equal(seen.fake, judged.fake)
        assert seen.real.shape == judged.real.shape


@pytest.mark.parametrize(("loss", "regularizer"), ROWS, ids=IDS)
def test_state_survives_save_load_and_deepcopy(loss: str, regularizer: str) -> None:
    adversary, generator = row(loss, regularizer, torch.float32)
    judged = make_judged(generator, condition=condition_of(adversary))
    for step in range(3):
        for phase in adversary.phases():
            torch.manual_seed(step)
            phase.run((judged, step))
    other, _ = row(loss, regularizer, torch.float32)
    other.load_state_dict(adversary.state_dict())
    for again in (other, copy.deepcopy(adversary)):
        found, wanted = critic_terms(again, generator), critic_terms(adversary, generator)
        assert found.keys() == wanted.keys()
        for name, term in wanted.items():
            assert torch.equal(found[name].value, term.value), name
