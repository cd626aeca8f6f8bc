"""The guards at run time: what they measure, what they say, and going back to the last good checkpoint."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from states import difference
from test_trainer import Toy, config, trainer
from torch import Tensor, nn

from advtasks import Adversary, PatchDiscriminator
from advtasks.data.loader import Position
from advtasks.errors import Diverged, TrainingError, UsageError
from advtasks.task import Batch, Evaluated, Metric
from advtasks.trackers import read_records
from advtasks.training.best import Best
from advtasks.training.monitor import IN_A_ROW, Monitor, batch_diversity, gradient_norm, largest_singular_values
from advtasks.training.rehearsal import rehearse


def record(real: float = 0.7, fake: float = 0.7, gap: float = 1.0, diversity: float = 1.0) -> dict[str, float]:
    return {"accuracy/real": real, "accuracy/fake": fake, "logit/real": gap, "logit/fake": 0.0, "diversity": diversity}


def test_healthy_training_is_not_commented_on() -> None:
    monitor = Monitor()
    assert [monitor.look(record()) for _ in range(50)] == [[]] * 50


def test_a_critic_that_wins_is_said_once_until_it_is_over() -> None:
    monitor = Monitor()
    said = [monitor.look(record(1.0, 1.0, gap=2.0**step)) for step in range(20)]
    flat = [text for texts in said for text in texts]
    assert len(flat) == 1
    assert "right about 100% of real and 100% of fake" in flat[0]
    assert "--adversary.regularizers r1" in flat[0]
    monitor.look(record())
    again = [text for step in range(20, 40) for text in monitor.look(record(1.0, 1.0, gap=2.0**step))]
    assert len(again) == 1
    steady = Monitor()
    assert not any(steady.look(record(1.0, 1.0, gap=3.0)) for _ in range(30)), "sure, but bounded"


def test_a_critic_that_is_wrong_and_modes_that_are_lost() -> None:
    monitor = Monitor()
    said = [text for _ in range(IN_A_ROW) for text in monitor.look(record(0.1, 0.2))]
    assert len(said) == 1
    assert "steps-per-generator-step" in said[0]
    collapse = Monitor()
    collapse.look(record(diversity=1.1))
    said = [text for _ in range(IN_A_ROW) for text in collapse.look(record(diversity=0.05))]
    assert len(said) == 1
    assert "differ 5% as much as real samples do (110% before)" in said[0]
    assert "relativistic-paired" in said[0]


def test_views_are_told_apart() -> None:
    monitor = Monitor()
    values = {f"{name}/left": value for name, value in record(0.1, 0.1).items()}
    values.update({f"{name}/right": value for name, value in record().items()})
    said = [text for _ in range(IN_A_ROW) for text in monitor.look(values)]
    assert len(said) == 1
    assert "critic of left" in said[0]


def test_lost_modes_of_one_view_are_seen_beside_a_healthy_one() -> None:
    monitor = Monitor()
    monitor.look({"diversity/left": 1.0, "diversity/right": 1.0})
    said = [t for _ in range(30) for t in monitor.look({"diversity/left": 0.15, "diversity/right": 1.0})]
    assert len(said) == 1
    assert "fakes of a batch of left differ 15%" in said[0]


def test_a_batch_of_one_has_no_variety_to_speak_of(tmp_path: Path) -> None:
    trainer(tmp_path, config(batch=1)).train()
    records = read_records(tmp_path / "metrics.jsonl")
    assert not any(r["kind"] == "warning" or "diversity" in r for r in records)


def test_divergence_is_a_gradient_far_beyond_its_median() -> None:
    monitor = Monitor()
    for step in range(12):
        assert monitor.diverged({"gradient-norm/generator": 1.0 + 0.1 * step}) is None
        monitor.look({"gradient-norm/generator": 1.0 + 0.1 * step})
    assert monitor.diverged({"gradient-norm/generator": 500.0}) is None
    assert "gradient-norm/generator is 1e+04" in str(monitor.diverged({"gradient-norm/generator": 1e4}))
    again = Monitor()
    again.load(monitor.state())
    assert again == monitor


def test_a_growing_singular_value_is_said_once() -> None:
    monitor = Monitor()
    said = [monitor.look_at_singular_value("image", "conv1", value) for value in (1.0, 5.0, 12.0, 20.0)]
    assert [len(texts) for texts in said] == [0, 0, 1, 0]
    assert "conv1 in the critic of image grew from 1 to 12" in said[2][0]


def test_measures_by_hand() -> None:
    layer = nn.Linear(3, 1)
    layer(torch.tensor([[1.0, 2.0, 2.0]])).sum().backward()
    assert gradient_norm(layer.parameters()).item() == pytest.approx(10**0.5)  # (1, 2, 2) and 1
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.5]])
    assert batch_diversity(real, fake).item() == pytest.approx(0.25)
    assert batch_diversity(real, torch.ones(2, 1)).item() == 0
    torch.manual_seed(0)
    critic = PatchDiscriminator(3, features=4, layers=2, norm="none")
    for name, value in largest_singular_values(critic, iterations=200).items():
        exact = torch.linalg.svdvals(critic.get_submodule(name).weight.detach().flatten(1))[0]
        assert value == pytest.approx(exact.item(), rel=1e-3)


def test_what_the_guards_measure_is_recorded(tmp_path: Path) -> None:
    trainer(tmp_path).train()
    records = read_records(tmp_path / "metrics.jsonl")
    last = [r for r in records if r["kind"] == "train"][-1]
    assert {"accuracy/real", "accuracy/fake", "diversity", "gradient-norm/generator", "gradient-norm/discriminator",
            "learning_rate/generator", "learning_rate/discriminator"} <= set(last)  # fmt: skip
    critic = [r for r in records if r["kind"] == "critic"]
    assert critic
    assert critic[-1]["singular-value"] > 0
    off = trainer(tmp_path / "off", config(monitor="off"))
    off.train()
    names = set().union(*read_records(tmp_path / "off" / "metrics.jsonl"))
    assert not {"diversity", "gradient-norm/generator", "singular-value"} & names


def test_watching_changes_no_number(tmp_path: Path) -> None:
    runs = [trainer(tmp_path / name, config(monitor=name)) for name in ("off", "warn")]
    for run in runs:
        run.train()
    one, other = (run.state() for run in runs)
    for part in ("generator", "ema", "adversaries", "stage"):
        assert difference(one[part], other[part]) is None


class Exploding(Toy):
    """Its loss is NaN the first time that step 8 is reached."""

    exploded = False

    def objective(self, batch: Batch, output: Tensor, weights: Any) -> Any:
        terms = super().objective(batch, output, weights)
        if weights.get("l1") and self.at_step() == 8 and not type(self).exploded:
            type(self).exploded = True
            terms = {name: dataclasses.replace(term, value=term.value * float("nan")) for name, term in terms.items()}
        return terms

    run: Any = None

    def at_step(self) -> int:
        return type(self).run.step if type(self).run is not None else -1


@pytest.fixture
def exploding() -> type[Exploding]:
    return type("Exploding", (Exploding,), {"exploded": False, "run": None})


def test_rolling_back_goes_on_from_the_last_checkpoint_at_half_the_rates(
    tmp_path: Path, exploding: type[Exploding]
) -> None:
    run = trainer(tmp_path, config(monitor="rollback"), exploding)
    exploding.run = run
    run.train()
    assert run.step == 12
    assert run.roll_backs == 1
    records = read_records(tmp_path / "metrics.jsonl")
    steps = [r["step"] for r in records if r["kind"] == "train"]
    assert steps == list(range(1, 13)), "what was measured after the checkpoint is forgotten"
    rates = {r["step"]: r["learning_rate/generator"] for r in records if r["kind"] == "train"}
    assert rates[8] == pytest.approx(5e-3)
    assert rates[9] == pytest.approx(2.5e-3)
    warnings = [r["text"] for r in records if r["kind"] == "warning"]
    assert len(warnings) == 1
    assert "step 8 diverged" in warnings[0]
    assert "Rolled back to step 8 (1 of 3 times); learning rates times 0.5" in warnings[0]


def test_without_rollback_or_a_checkpoint_training_stops(tmp_path: Path, exploding: type[Exploding]) -> None:
    run = trainer(tmp_path / "warn", config(monitor="warn"), exploding)
    exploding.run = run
    with pytest.raises(Diverged, match="not finite"):
        run.train()
    always = trainer(tmp_path / "always", config(monitor="rollback"), explode_at=7)
    with pytest.raises(TrainingError, match="not finite"):
        always.train()
    assert always.roll_backs == 3, "three times, then it stops"
    exploding.exploded = False
    early = trainer(tmp_path / "early", config(monitor="rollback", checkpoint_every=100), explode_at=1)
    with pytest.raises(TrainingError):
        early.train()


def test_a_second_failure_from_the_same_checkpoint_takes_the_one_before(tmp_path: Path) -> None:
    run = trainer(tmp_path, config(monitor="rollback"), explode_at=10)
    with pytest.raises(TrainingError, match="not finite"):
        run.train()
    # failed at step 10: back to 10, then to 8, then to 6
    assert run.roll_backs == 3
    assert run.rolled_to == 6
    again = trainer(tmp_path, config(monitor="rollback"))
    assert again.resume()
    assert (again.step, again.rate_scale, again.roll_backs) == (6, 0.125, 3), "a kill does not bring the old rates back"
    assert again.rolled_to == 6, "should it diverge once more, this checkpoint is not taken again"


def test_a_rolled_back_run_resumes_bit_for_bit(tmp_path: Path, exploding: type[Exploding]) -> None:
    whole = trainer(tmp_path, config(monitor="rollback"), exploding)
    exploding.run = whole
    whole.train()
    wanted = whole.state()
    for newest in (tmp_path / "checkpoints").glob("step-00000012.*"):
        newest.unlink()
    again = trainer(tmp_path, config(monitor="rollback"), exploding)
    exploding.run = again
    assert again.resume()
    assert again.rate_scale == 0.5
    again.train()
    assert difference(again.state(), wanted) is None


class Once(torch.autograd.Function):
    """An operation without a second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


class OnceDifferentiable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(Once.apply(torch.tanh(x))))


def test_a_critic_without_second_derivatives_is_found_before_the_first_step() -> None:
    task = Toy(config())
    data = task.splits(None).train  # type: ignore[arg-type]
    assert data[Position(0, 0)]["x"].shape == (3, 8, 8)
    rehearse(task, task.generator(), {"image": Adversary(OnceDifferentiable(), regularizers=["r1-first-order"])}, data)
    with pytest.raises(UsageError, match="r1 differentiate the critic OnceDifferentiable twice.*use r1-first-order"):
        rehearse(task, task.generator(), {"image": Adversary(OnceDifferentiable(), regularizers=["r1"])}, data)


class Failing(OnceDifferentiable):
    """The machine fails while it judges."""

    words = ""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError(self.words)


@pytest.mark.parametrize(
    "words", ["can't allocate memory: you tried to allocate 8 bytes", "CUDA error: illegal access"]
)
def test_a_rehearsal_blames_no_critic_for_what_the_machine_does(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "words", words)
    task = Toy(config())
    with pytest.raises(RuntimeError, match=words):
        rehearse(task, task.generator(), {"image": Adversary(Failing())}, task.splits(None).train)  # type: ignore[arg-type]


def test_rehearsal_leaves_no_trace() -> None:
    task = Toy(config())
    adversary = Adversary(
        PatchDiscriminator(3, features=4, layers=1), regularizers=["spectral-norm", "lecam", "r1:interval=4"]
    )
    generator = task.generator()
    before = {**adversary.state_dict(), **generator.state_dict()}
    before = {name: value.clone() if isinstance(value, Tensor) else value for name, value in before.items()}
    rehearse(task, generator, {"image": adversary}, task.splits(None).train)  # type: ignore[arg-type]
    assert difference({**adversary.state_dict(), **generator.state_dict()}, before) is None
    assert all(parameter.grad is None for parameter in (*adversary.parameters(), *generator.parameters()))


def test_a_metric_that_stays_worse_than_its_best_is_said_once() -> None:
    metric = Metric("up", "up", True, "up")
    best, monitor = Best((metric,), "up"), Monitor()

    def said(*values: float) -> list[str]:
        found = []
        for value in values:
            best.note(best.without, {"up": value})
            found += monitor.look_at_validation(best)
        return found

    assert said(10.0, 9.0, 9.0, 9.6, 9.0, 9.0) == [], "two in a row, then one within five percent"
    (text,) = said(8.0, 7.0, 7.0)
    assert text.startswith("up has been worse than its best in this stage (10 at step 0) for 3 validations, by 20.0%")
    assert "--keep-best up" in text
    (text,) = said(11.0, 9.0, math.nan, 9.0)
    assert "(11 at step" in text
    assert Monitor().look_at_validation(Best((), None)) == []


def test_a_worsening_validation_is_warned_of_in_console_and_log(tmp_path: Path) -> None:
    class Worse(Toy):
        value = 1.0

        def evaluate(self, generator: nn.Module | None, example: Any) -> Evaluated:
            self.value += 1
            return Evaluated({"error": self.value})

    for monitor, count in (("warn", 1), ("off", 0)):
        run = trainer(tmp_path / monitor, config(validate_every=1, monitor=monitor), Worse)
        run.train()
        records = read_records(tmp_path / monitor / "metrics.jsonl")
        found = [r for r in records if r["kind"] == "warning" and "worse than its best" in r["text"]]
        assert [r["step"] for r in found] == [4, 9][: 2 * count]
        assert run.console.stream.getvalue().count("worse than its best") == 2 * count  # type: ignore[attr-defined]


@pytest.mark.parametrize(("critic_steps", "plain"), [(5, 3), (1, 7)])
def test_each_phase_is_watched_once_before_each_record(tmp_path: Path, critic_steps: int, plain: int) -> None:
    """Also where its steps never are the last ones before a record."""
    base = config()
    stages = (dataclasses.replace(base.stages[0], steps=plain), dataclasses.replace(base.stages[1], steps=100))
    adversary = dataclasses.replace(
        base.adversary, steps_per_generator_step=critic_steps, regularizers=("r1:interval=16",)
    )
    settings = config(stages=stages, adversary=adversary, log_every=20, validate_every=1000, checkpoint_every=1000)
    trainer(tmp_path, settings).train()
    records = [r for r in read_records(tmp_path / "metrics.jsonl") if r.get("stage") == "adversarial"]
    whole = [r for r in records if r["kind"] == "train" and r["step"] % 20 == 0]
    assert len(whole) == 5
    for name in ("diversity", "gradient-norm/generator"):
        assert all(name in record for record in whole), name
    assert all("gradient-norm/discriminator-r1" in record for record in whole[1:])
