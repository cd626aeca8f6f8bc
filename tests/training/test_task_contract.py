"""What the author of a task may get wrong is told in words, before it costs a training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from test_trainer import Network, Noise, Toy, config, stop_at, trainer
from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks import components
from advtasks.adversary import Adversary
from advtasks.config import AdversaryConfig
from advtasks.data.loader import Batch, Position, collated
from advtasks.errors import AdvtasksError, Interrupted, TrainingError, UsageError
from advtasks.evaluation.runner import evaluate
from advtasks.hookspecs import Component
from advtasks.losses import Hinge
from advtasks.plugins import plugins
from advtasks.reporting.pictures import save_contact_sheet
from advtasks.task import Evaluated, Judged, Term, Terms
from advtasks.training.adversaries import make_adversaries
from advtasks.training.manifests import check_manifest
from advtasks.training.meters import first_bad_parameter
from advtasks.training.rehearsal import rehearse


def rehearsed(task: Toy, data: Dataset[Batch] | None = None) -> list[str]:
    adversaries = make_adversaries(task, task.options)
    return rehearse(task, task.generator(), adversaries, data or Noise(), task.options.stages)


class Told(Toy):
    """Keeps its options."""

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.options = options


class Misnamed(Told):
    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        return {"picture": Judged(batch["x"], output)}


class Forgetful(Told):
    term_names: ClassVar[frozenset[str]] = frozenset({"l1", "edges"})


class Whole(Told):
    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        return {"l1": Term((output - batch["x"]).abs(), 1.0)}


class Namesake(Told):
    term_names: ClassVar[frozenset[str]] = frozenset({"l1", "diversity"})


@pytest.mark.parametrize(
    ("task", "weights", "text"),
    [
        (Misnamed, {"l1": 1.0}, "Misnamed.judged shows picture, and its views are image"),
        (Forgetful, {"l1": 1.0, "edges": 2.0}, "'adversarial' weighs edges, and Forgetful.objective gave only l1"),
        (Whole, {"l1": 1.0}, r"the loss term 'l1' is \(2, 3, 8, 8\): Whole.objective takes its mean"),
        (
            Namesake,
            {"l1": 1.0, "diversity": 1.0},
            "diversity: a loss term of Namesake has the name of one of the adversary's",
        ),
    ],
)
def test_what_does_not_fit_is_found_in_the_rehearsal(task: type[Told], weights: dict[str, float], text: str) -> None:
    """The second stage alone weighs what is wrong."""
    plain, adversarial = config().stages
    options = config(stages=(plain, dataclasses.replace(adversarial, weights=weights)))
    assert rehearsed(Told(config())) == []
    with pytest.raises(UsageError, match=text):
        rehearsed(task(options))


class Once(Told):
    """Its objective uses up what generating left, as text2image's conditioning does."""

    left: ClassVar[list[Tensor]] = []

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        self.left.append(super().generate(generator, batch))
        return self.left[-1]

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        assert torch.cat(self.left).requires_grad
        self.left.clear()
        return super().objective(batch, output, weights)


def test_each_stage_is_rehearsed_on_an_output_of_its_own() -> None:
    plain, adversarial = config().stages
    assert rehearsed(Once(config(stages=(plain, dataclasses.replace(adversarial, weights={"l1": 2.0}))))) == []


class Careless(Noise):
    """Draws with a global generator."""

    def __getitem__(self, position: Position) -> Batch:
        return {"x": torch.rand(3, 8, 8)}


class Uneven(Noise):
    """Its second picture is wider."""

    def __getitem__(self, position: Position) -> Batch:
        return {"x": torch.zeros(3, 8, 8 + position.index)}


def test_pictures_of_several_sizes_are_found_in_the_rehearsal() -> None:
    with pytest.raises(UsageError, match=r"'x' is \(3, 8, 8\) and \(3, 8, 9\)"):
        rehearsed(Told(config()), Uneven())


def test_samples_that_a_resume_would_not_see_again_are_told() -> None:
    (text,) = rehearsed(Told(config()), Careless())
    assert "a resumed run will not be bit for bit the same" in text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unreduced(Hinge):
    """Forgets the mean."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return real_logits - fake_logits


def test_what_a_loss_does_wrong_is_told_with_its_place() -> None:
    critic = Adversary(components.build("discriminators", "patch:features=4:layers=1", in_channels=3), Unreduced())
    task = Told(config())
    with pytest.raises(UsageError, match=r"grad can be implicitly created only for scalar outputs.*, at \w+\.py:\d+"):
        rehearse(task, task.generator(), {"image": critic}, Noise())


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ([(torch.zeros(1), 1)], "one is a tuple, and a sample is a dict of tensors"),
        ([{"x": np.zeros(3)}], "'x' is a ndarray"),
        ([{"x": torch.zeros(3, 8, 8)}, {"x": torch.zeros(3, 8, 9)}], r"'x' is \(3, 8, 8\) and \(3, 8, 9\)"),
        ([{"x": torch.zeros(1)}, {"y": torch.zeros(1)}], "one has x, another y"),
    ],
)
def test_samples_that_make_no_batch_are_told(samples: list[Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        collated(samples)


class Measuring(Toy):
    """Measures with NumPy, as scikit-image does."""

    given: Callable[[float], dict[str, Any]] = staticmethod(lambda error: {"error": np.float64(error)})

    def evaluate(self, generator: nn.Module | None, example: Tensor) -> Evaluated:
        return Evaluated(self.given(super().evaluate(generator, example).metrics["error"]))


@pytest.mark.parametrize("kind", [np.float64, np.float32, torch.tensor])
def test_metrics_of_any_kind_of_number_can_be_resumed(kind: Callable[[float], Any], tmp_path: Path) -> None:
    first = trainer(tmp_path, task=Measuring, given=lambda error: {"error": kind(error)})
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    second = trainer(tmp_path, task=Measuring)
    assert second.resume()
    second.train()
    assert all(type(result.metrics["error"]) is float for result in second.results)


def test_a_metric_that_is_declared_and_not_measured_is_named() -> None:
    task = Measuring(config())
    task.given = lambda error: {"eror": error}  # type: ignore[method-assign]
    with pytest.raises(AdvtasksError, match=r"Measuring.evaluate measured eror, and Task.metrics declares error"):
        evaluate(task, Network(), [torch.rand(1, 3, 8, 8)])


class Helped(Toy):
    """Holds a network with dropout and batch norm, as a loss or metric may."""

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.helper = Network()

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        assert not self.helper.training
        return super().objective(batch, self.helper(output), weights)


def test_what_a_task_holds_stays_frozen(tmp_path: Path) -> None:
    run = trainer(tmp_path, task=Helped)
    before = {name: value.clone() for name, value in run.networks.task.state_dict().items()}
    run.train()
    assert before
    assert all(torch.equal(value, before[name]) for name, value in run.networks.task.state_dict().items())


class Masked(Network):
    """With the mask of a causal attention."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((4, 4), -math.inf).triu(1))


def test_infinities_in_a_buffer_are_no_broken_weights() -> None:
    network = Masked()
    assert first_bad_parameter({"generator": network}) is None
    network.mask[0, 0] = math.nan
    assert first_bad_parameter({"generator": network}) == "generator.mask"
    network.mask[0, 0] = 0
    network.layers[1].running_var[0] = math.inf
    assert first_bad_parameter({"generator": network}) == "generator.layers.1.running_var"
    with torch.no_grad():
        network.layers[0].bias[0] = math.inf
    assert first_bad_parameter({"generator": network}) == "generator.layers.0.bias"


def test_training_goes_on_only_from_what_was_loaded(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    stop_at(run, 3, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    del run._take_step
    with pytest.raises(TrainingError, match=r"resume\(\) from its checkpoint first"):
        run.train()
    assert run.resume()
    run.train()
    whole = trainer(tmp_path / "whole")
    whole.train()
    for one, other in zip(run.networks.generator.parameters(), whole.networks.generator.parameters(), strict=True):
        assert torch.equal(one, other)


GIVEN = {"verb": "upscale", "generator": "srresnet", "hyper_parameters": {}, "channels": 3, "scale": 1,
         "receptive_radius": 2, "multiple_of": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"verb": "upscael"}, "did you mean 'upscale'"),
        ({"generator": "srresnt"}, "did you mean 'srresnet'"),
        ({"colour": 1}, "unexpected keyword argument 'colour'"),
        ({"hyper_parameters": {"path": Path()}}, "not JSON serializable"),
        ({"multiple_of": None}, "multiple_of"),
    ],
)
def test_a_manifest_that_no_bundle_could_have_is_refused(change: dict[str, Any], text: str) -> None:
    task = Toy(config())
    check_manifest("toy", task, GIVEN)
    changed = {name: value for name, value in {**GIVEN, **change}.items() if value is not None}
    with pytest.raises(UsageError, match=f"the manifest of the task 'toy'.*{text}"):
        check_manifest("toy", task, changed)


def test_examples_without_pictures_make_no_sheet(tmp_path: Path) -> None:
    save_contact_sheet(tmp_path / "sheet.jpg", [{}, {}])
    assert not list(tmp_path.iterdir())


def untyped(width=8, sharp=False, name=None):  # type: ignore[no-untyped-def]
    """A component of somebody who annotates nothing."""
    return width, sharp, name


def test_options_without_annotations_have_the_types_of_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Component(name="untyped", summary="", build=f"{__name__}:untyped")
    found = dataclasses.replace(plugins().find("losses", "hinge"), spec=spec)
    monkeypatch.setattr("advtasks.components.plugins", lambda: type("Only", (), {"find": lambda *a: found})())
    assert components.build("losses", "untyped:width=32:sharp=true:name=a") == (32, True, "a")
    with pytest.raises(UsageError, match="untyped:width=wide"):
        components.build("losses", "untyped:width=wide")


def test_one_text_names_several_parts() -> None:
    assert AdversaryConfig(regularizers="r1,lecam").regularizers == ("r1", "lecam")  # type: ignore[arg-type]
    critic = components.build("discriminators", "patch:features=4:layers=1", in_channels=3)
    found = Adversary(critic, regularizers="r1:gamma=2,lecam", augments="diffaugment")
    assert [regularizer.name for regularizer in found.regularizers] == ["r1", "lecam"]
    assert len(found.augments) == 1
