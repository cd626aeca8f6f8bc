"""The trainer's options: optimisers by name, clipping, warm-up, early stopping, the best, float16, times, traces."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from states import difference
from test_trainer import Noise, Toy, config, stop_at, trainer, whole_and_resumed
from torch import Tensor, nn

from advtasks.components import provided
from advtasks.config import AdversaryConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.devices import FIRST_SCALE, choose_device
from advtasks.errors import Interrupted, TrainingError, UsageError
from advtasks.optimizers import make_optimizer
from advtasks.phase import Phase
from advtasks.task import Batch, Evaluated, Splits, Term, Terms
from advtasks.trackers import read_records
from advtasks.training.adversaries import make_adversaries
from advtasks.training.best import Best
from advtasks.training.checks import check_batches, check_validation, never_computed
from advtasks.training.clock import Clock, peak_memory
from advtasks.training.meters import SKIPPED, Meters
from advtasks.training.networks import Networks
from advtasks.training.pace import Pace
from advtasks.training.schedules import factor
from advtasks.training.step import Step
from advtasks.training.stopwatch import Stopwatch
from advtasks.training.tune import _steps


@pytest.mark.parametrize("name", sorted(provided("optimizers")))
def test_every_optimizer_trains_both_networks_and_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    base = config()
    settings = dataclasses.replace(
        base, optimizer=name, adversary=dataclasses.replace(base.adversary, optimizer=name), checkpoint_every=4
    )
    whole = trainer(tmp_path / "whole", settings)
    before = [parameter.clone() for parameter in whole.networks.generator.parameters()]
    whole.train()
    after = list(whole.networks.generator.parameters())
    assert sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) >= 5, (
        "all but a bias before batch norm"
    )
    first = trainer(tmp_path / "parts", settings)
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    second = trainer(tmp_path / "parts", settings)
    assert second.resume()
    second.train()
    assert difference(second.state(), whole.state()) is None


def test_optimizers_take_options_and_refuse_what_they_do_not_know() -> None:
    network = nn.Linear(2, 2)
    group = make_optimizer("adamw:weight_decay=0.5", network, 1e-3, (0.1, 0.2)).param_groups[0]
    assert (group["weight_decay"], group["lr"], group["betas"]) == (0.5, 1e-3, (0.1, 0.2))
    assert make_optimizer("sgd:momentum=0.9", network, 1e-3, (0.1, 0.2)).param_groups[0]["momentum"] == 0.9
    assert make_optimizer("sgd", network, 1e-3, (0.1, 0.2)).param_groups[0]["foreach"] is True
    for name in ("adam", "adamw"):
        assert make_optimizer(name, network, 1e-3, (0.1, 0.2)).param_groups[0]["fused"] is True
        group = make_optimizer(f"{name}:fused=false:foreach=true", network, 1e-3, (0.1, 0.2)).param_groups[0]
        assert (group["fused"], group["foreach"]) == (False, True)
        with pytest.raises(UsageError, match=f"{name}:foreach=true: .*fused"):
            make_optimizer(f"{name}:foreach=true", network, 1e-3, (0.1, 0.2))
    with pytest.raises(UsageError, match="did you mean 'adam"):
        make_optimizer("adamm", network, 1e-3, (0.1, 0.2))
    with pytest.raises(UsageError, match="no option"):
        make_optimizer("adam:decay=1", network, 1e-3, (0.1, 0.2))
    with pytest.raises(UsageError, match="optimizer 'adam'"):
        make_optimizer("adam", network, 1e-3, (2.0, 0.2))


def test_clipping_shortens_the_gradient_to_the_norm() -> None:
    parameter = nn.Parameter(torch.zeros(4))
    for clip, expected in ((0.0, 10.0), (2.5, 2.5), (50.0, 10.0)):
        parameter.data.zero_()
        phase: Phase[None] = Phase(
            name="one",
            optimizer=torch.optim.SGD([parameter], lr=1.0),
            terms=lambda scene: {"line": Term((parameter * 5).sum())},
            clip_norm=clip,
        )
        phase.run(None)
        assert parameter.norm().item() == pytest.approx(expected, rel=1e-4)


def test_clipping_reaches_both_networks(tmp_path: Path) -> None:
    base = config(clip_norm=0.01)
    run = trainer(tmp_path, dataclasses.replace(base, adversary=dataclasses.replace(base.adversary, clip_norm=0.02)))
    run.train()
    found = {phase.name: phase.clip_norm for phase in run.stage_step.phases}
    assert found == {"discriminator": 0.02, "discriminator-r1": 0.02, "generator": 0.01}


def test_warm_up_rises_in_a_straight_line_and_then_follows_the_schedule() -> None:
    rates = [factor("cosine", step, 20, 4) for step in range(20)]
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == 1.0
    assert rates[12] == pytest.approx(0.01 + 0.99 * 0.5)
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert [factor("constant", step, 9, 2) for step in (0, 1, 2, 8)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    with pytest.raises(UsageError, match="warmup must be less than its 3 steps"):
        StageConfig(name="x", steps=3, weights={}, warmup=3)


class Worsening(Toy):
    """Measured by a script: best at the third validation."""

    script: ClassVar[list[float]] = []

    def evaluate(self, generator: nn.Module | None, example: Any) -> Evaluated:
        return Evaluated({"error": self.script.pop(0)})


def test_early_stopping_ends_the_stage_and_says_what_was_best(tmp_path: Path) -> None:
    values = [5.0, 4.0, 3.0, 3.5, 3.2, 9.0, 9.0, 9.0, 9.0, 9.0]
    stages = (
        StageConfig(name="one", steps=40, weights={"l1": 1.0}),
        StageConfig(name="two", steps=2, weights={"l1": 1.0}),
    )
    settings = config(validate_every=1, early_stopping=2, keep_best="error", stages=stages)
    Worsening.script = list(values)
    kept: list[int] = []
    run = trainer(tmp_path / "whole", settings, Worsening)
    run.on_validation = lambda step, result, best: kept.append(step) if best else None
    run.train()
    assert [result.step for result in run.results] == [5, 7], "the second stage follows at once"
    found = run.results[0].best["error"]
    assert (found["best"], found["step"], found["last"]) == (3.0, 3, 9.0)
    assert found["ratio"] == pytest.approx(3.0)
    assert kept[:3] == [1, 2, 3]
    for stop in (4, 6):  # while it waits for a better one, and after the early end
        Worsening.script = list(values)
        first = trainer(tmp_path / str(stop), settings, Worsening)
        stop_at(first, stop, Interrupted)
        with pytest.raises(Interrupted):
            first.train()
        second = trainer(tmp_path / str(stop), settings, Worsening)
        assert second.resume()
        assert second.step == stop
        second.train()
        assert [result.step for result in second.results] == [5, 7]


def test_a_run_that_is_resumed_while_it_warms_up_is_bit_identical(tmp_path: Path) -> None:
    base = config()
    stages = tuple(dataclasses.replace(stage, warmup=4) for stage in base.stages)
    for stop in (3, 7):  # in the middle of each stage's
        made = lambda name, at=stop: trainer(tmp_path / f"{name}-{at}", config(stages=stages))  # noqa: E731
        _, second, _ = whole_and_resumed(made, stop)
        rates = [r["learning_rate/generator"] for r in read_records(tmp_path / f"parts-{stop}" / "metrics.jsonl")
                 if r["kind"] == "train"]  # fmt: skip
        assert rates[:3] == pytest.approx([2e-3, 4e-3, 6e-3])
        assert rates[5:9] == pytest.approx([1e-3, 2e-3, 3e-3, 4e-3])
        assert second.step == 12


def test_the_best_is_the_best_in_the_metrics_own_direction() -> None:
    higher, lower = (dataclasses.replace(Toy.metrics[0], name=n, higher_is_better=n == "up") for n in ("up", "down"))
    best = Best((higher, lower), "down")
    assert [best.note(step, {"up": up, "down": down}) for step, (up, down) in enumerate([(1, 5), (3, 6), (2, 4)])] == [
        True,
        False,
        True,
    ]
    assert best.values == {"up": (3, 1), "down": (4, 2)}
    assert best.summary()["up"] == {"last": 2, "best": 3, "step": 1, "ratio": 2 / 3}
    endless = Best((lower,), "down")
    assert not endless.note(1, {"down": math.inf}), "as bad as can be is no best"
    assert endless.note(2, {"down": 5.0})
    nothing = Best((lower,), "down")
    nothing.note(1, {"down": math.inf})
    assert nothing.summary()["down"]["ratio"] == 1.0
    again = Best((higher, lower), "down")
    again.load(json.loads(json.dumps(best.state())))
    assert again == best


def test_a_value_that_is_no_number_is_never_the_best() -> None:
    metric = dataclasses.replace(Toy.metrics[0], name="up", higher_is_better=True)
    best = Best((metric,), "up")
    assert [best.note(step, {"up": value}) for step, value in enumerate([math.nan, 0.5, math.nan, 0.9])] == [
        False,
        True,
        False,
        True,
    ]
    assert best.values == {"up": (0.9, 3)}


def test_a_stage_that_ends_early_is_logged_to_its_end(tmp_path: Path) -> None:
    stages = (
        StageConfig(name="one", steps=40, weights={"l1": 1.0}),
        StageConfig(name="two", steps=2, weights={"l1": 1.0}),
    )
    Worsening.script = [1.0] + [2.0] * 9
    run = trainer(tmp_path, config(validate_every=2, early_stopping=1, stages=stages, log_every=3), Worsening)
    run.train()
    records = [(r["step"], r["stage"]) for r in read_records(tmp_path / "metrics.jsonl") if r["kind"] == "train"]
    assert records == [(3, "one"), (4, "one"), (6, "two")]
    assert run.seconds > 0


def test_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-best eror: did you mean 'error'"):
        trainer(tmp_path, config(keep_best="eror"))


@pytest.mark.parametrize("ranks", [1, 2])
def test_batches_that_do_not_divide_are_refused(ranks: int) -> None:
    settings = config(accumulate=2, batch=8)
    check_batches(settings, ranks)
    with pytest.raises(
        UsageError, match=f"a batch of 6 cannot be shared equally by {ranks} process.* multiple of {2 * ranks * 2}"
    ):
        check_batches(dataclasses.replace(settings, batch=6, adversary=AdversaryConfig(pack=2)), ranks)


def test_float16_follows_float32_and_skips_steps_that_overflow(tmp_path: Path) -> None:
    """On CPU in float16: the losses are those of float32 to its precision; an infinite gradient halves the scale."""
    runs = {}
    for precision in ("fp32", "fp16"):
        runs[precision] = trainer(tmp_path / precision, config(precision=precision))
        runs[precision].train()
    records = [
        [r for r in read_records(tmp_path / name / "metrics.jsonl") if r["kind"] == "train"]
        for name in ("fp32", "fp16")
    ]
    for one, half in zip(*records, strict=True):
        assert half["l1"] == pytest.approx(one["l1"], rel=0.02)
    scalers = runs["fp16"].stage_step.scalers
    assert set(scalers) == {"generator", "discriminator", "discriminator-r1"}
    assert scalers["discriminator"] is scalers["discriminator-r1"], "one for each optimiser"
    state = runs["fp16"].state()["stage"]["scalers"]
    assert state["generator"]["scale"] >= 1024

    parameter = nn.Parameter(torch.ones(1))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    huge: Phase[float] = Phase(
        name="huge",
        optimizer=torch.optim.Adam([parameter], lr=0.1, fused=True),
        terms=lambda factor: {"line": Term(parameter.sum() * factor)},
        scaler=scaler,
    )
    huge.run(1e38)
    assert parameter.item() == 1.0, "the step was skipped"
    assert scaler.get_scale() == 2.0**15
    huge.run(1.0)
    assert parameter.item() == pytest.approx(0.9)


def test_float16_resumes_bit_for_bit(tmp_path: Path) -> None:
    settings = config(precision="fp16")
    whole_and_resumed(lambda name: trainer(tmp_path / name, settings), 9)


def test_each_stage_scales_its_losses_anew(tmp_path: Path) -> None:
    """A scale that one stage lowered is not that of the next one, whether the run was resumed between them or not."""
    one = dataclasses.replace(config().stages[1], steps=4)
    settings = config(precision="fp16", stages=(one, dataclasses.replace(one, name="more")))
    whole = trainer(tmp_path / "whole", settings)
    take = whole._take_step

    def lowering(*arguments: Any) -> None:
        if whole.step == 2:
            whole.stage_step.scalers["discriminator"].update(2.0**4)
        take(*arguments)

    whole._take_step = lowering  # type: ignore[method-assign]
    whole.train()
    (tmp_path / "parts").mkdir()
    shutil.copytree(tmp_path / "whole" / "checkpoints", tmp_path / "parts" / "checkpoints")
    for path in (tmp_path / "parts" / "checkpoints").glob("step-*"):
        if int(path.stem[5:]) > 4:
            path.unlink()
    second = trainer(tmp_path / "parts", settings)
    assert second.resume()
    assert second.step == 4
    second.train()
    assert whole.stage_step.scalers["discriminator"].get_scale() == FIRST_SCALE
    assert difference(second.state(), whole.state()) is None


def test_the_log_says_where_the_time_goes(tmp_path: Path) -> None:
    run = trainer(tmp_path, config())
    run.train()
    records = [r for r in read_records(tmp_path / "metrics.jsonl") if r["kind"] == "train"]
    assert {"seconds/data", "seconds/generator", "seconds/prepare", "memory_gib"} <= records[0].keys()
    assert {"seconds/discriminator", "seconds/penalty"} <= set().union(*records)
    for record in records:
        aside = ("seconds/step", "seconds/eval")
        parts = sum(v for name, v in record.items() if name.startswith("seconds/") and name not in aside)
        assert 0 < parts <= 1.01 * record["seconds/step"]
        assert record["seconds/step"] == pytest.approx(3 / record["images_per_s"]), "a batch of three"
    validations = [r for r in read_records(tmp_path / "metrics.jsonl") if r["kind"] == "validation"]
    assert all(math.isfinite(record["seconds"]) for record in validations)
    assert [record["step"] for record in records if "seconds/eval" in record] == [4, 6, 8], "the end of a stage: later"


def test_what_is_measured_within_counts_once() -> None:
    clock = Clock(torch.device("cpu"))
    with clock.measure("outer"):
        time.sleep(0.002)
        with clock.measure("inner"):
            time.sleep(0.02)
    found = clock.take()
    assert found["inner"] >= 0.02
    assert 0 < found["outer"] < found["inner"]
    assert clock.take() == {}


def test_a_penalty_of_every_step_counts_as_penalty(tmp_path: Path) -> None:
    adversary = dataclasses.replace(config().adversary, regularizers=("wgan-gp",))
    trainer(tmp_path, config(adversary=adversary)).train()
    records = [r for r in read_records(tmp_path / "metrics.jsonl") if r["kind"] == "train"]
    assert all(record["seconds/penalty"] > 0 < record["seconds/discriminator"] for record in records[5:])


def test_peak_memory_is_that_of_this_process_alone() -> None:
    """Of a child, ru_maxrss begins with what its parent had."""
    held = torch.ones(2**27)  # half a GiB
    code = "import torch; from advtasks.training.clock import peak_memory; print(peak_memory(torch.device('cpu')))"
    own = peak_memory(torch.device("cpu"))
    child = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert own > held.nbytes / 2**30
    assert child < own - 0.2


def test_costly_validations_are_left_out_but_not_where_they_decide() -> None:
    said: list[str] = []
    pace = Pace(config(validate_share=0.05), said.append)
    assert pace.allows(20, trained=1.0), "nobody knows yet what it costs"
    pace.note(20, seconds=1.0, trained=1.0)
    assert [pace.allows(20, trained) for trained in (10.0, 20.0, 21.0)] == [False, False, True], "1 of 20 seconds"
    assert pace.allows(10, trained=11.0), "half as many pictures"
    assert said == ["validation every 4 steps takes more than 5% of the time: some are left out (--validate-share 0 "
                    "makes them all)"]  # fmt: skip
    again = Pace(config(validate_share=0.05), said.append)
    again.load(pace.state())
    assert not again.allows(20, trained=20.0)
    assert Pace(config(), said.append).allows(20, trained=0.0)
    for decides in ({"keep_best": "error"}, {"early_stopping": 3}):
        said.clear()
        pace = Pace(config(validate_share=0.05, **decides), said.append)
        pace.note(20, seconds=1.0, trained=1.0)
        assert pace.allows(20, trained=2.0)
        assert pace.allows(20, trained=3.0)
        assert [line.startswith("warning: validation every 4 steps") for line in said] == [True]


def test_leaving_validations_out_moves_no_weight(tmp_path: Path) -> None:
    runs = {}
    for share in (0.0, 1e-9):
        runs[share] = trainer(tmp_path / str(share), config(validate_share=share, validate_every=1))
        runs[share].train()
    assert difference(runs[0.0].state()["generator"], runs[1e-9].state()["generator"]) is None
    steps = {
        share: [r["step"] for r in read_records(tmp_path / str(share) / "metrics.jsonl") if r["kind"] == "validation"]
        for share in runs
    }
    assert steps == {0.0: [*range(1, 13)], 1e-9: [1, 5, 12]}, "the first, and the ends of stages"


def test_a_profile_is_a_trace_of_the_steps_asked_for(tmp_path: Path) -> None:
    stages = (StageConfig(name="plain", steps=16, weights={"l1": 1.0}),)
    run = trainer(tmp_path, config(profile=3, stages=stages))
    run.train()
    trace = json.loads((tmp_path / "profile" / "trace.json").read_text())
    steps = [e for e in trace["traceEvents"] if str(e.get("name", "")).startswith("ProfilerStep")]
    assert len({e["name"] for e in steps}) == 3
    assert "conv" in (tmp_path / "profile" / "operators.txt").read_text()


@pytest.mark.parametrize(("stop", "traced"), [(2, True), (6, False), (11, False)])
def test_a_resumed_run_is_traced_once_and_only_where_steps_are_left(tmp_path: Path, stop: int, traced: bool) -> None:
    settings = config(profile=3, stages=(StageConfig(name="plain", steps=16, weights={"l1": 1.0}),))
    first = trainer(tmp_path, settings)
    stop_at(first, stop, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    second = trainer(tmp_path, settings)
    assert second.resume()
    second.train()
    trace = tmp_path / "profile" / "trace.json"
    assert trace.exists() == traced, "one that was cut off is none"
    assert ("no profile" in second.console.stream.getvalue()) != traced  # type: ignore[attr-defined]
    if traced:
        written = trace.stat().st_mtime_ns
        for newest in (tmp_path / "checkpoints").glob("step-00000016.*"):
            newest.unlink()
        third = trainer(tmp_path, settings)
        assert third.resume()
        third.train()
        assert trace.stat().st_mtime_ns == written


class Overflowing(Toy):
    """Its loss is not finite in some steps, as an overflow in float16 makes it."""

    bad: ClassVar[set[int]] = set()
    calls = 0

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        self.calls += 1
        value = (output - batch["x"]).abs().mean() * (float("inf") if self.calls in self.bad else 1.0)
        return {"l1": Term(value, weights["l1"])}


def test_float16_goes_on_after_a_term_that_overflowed_and_stops_after_many(tmp_path: Path) -> None:
    stages = (StageConfig(name="plain", steps=60, weights={"l1": 1.0}),)
    Overflowing.bad = {3, 4, *range(10, 10 + SKIPPED - 1)}
    settings = config(precision="fp16", stages=stages, adversary=AdversaryConfig(kind="none"))
    run = trainer(tmp_path / "some", settings, Overflowing)
    run.train()
    assert run.step == 60
    records = [r for r in read_records(tmp_path / "some" / "metrics.jsonl") if r["kind"] == "train"]
    assert [r["step"] for r in records if r["l1"] is None] == sorted(Overflowing.bad)
    Overflowing.bad = set(range(10, 60))
    with pytest.raises(TrainingError, match=f"'l1' is not finite at step {9 + SKIPPED}"):
        trainer(tmp_path / "many", settings, Overflowing).train()
    with pytest.raises(TrainingError, match="'l1' is not finite at step 9"):
        trainer(tmp_path / "fp32", config(stages=stages), Overflowing).train()


class Spoiled(Toy):
    """Its terms are finite and its gradients are not, as of a root at 0."""

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        root = (0 * (output - batch["x"]).square().mean()).sqrt()
        return {"l1": Term((output - batch["x"]).abs().mean() + root, weights["l1"])}


def test_float16_stops_where_gradients_are_never_finite(tmp_path: Path) -> None:
    stages = (StageConfig(name="plain", steps=60, weights={"l1": 1.0}),)
    settings = config(precision="fp16", stages=stages, adversary=AdversaryConfig(kind="none"))
    with pytest.raises(TrainingError, match=r"gradients of the phase generator.* is not finite at step 41"):
        trainer(tmp_path, settings, Spoiled).train()


def test_tuning_passes_over_float16_only_where_no_step_is_ever_taken() -> None:
    """Also where the generator's phase comes rarely; steps that are skipped at first are no failure."""
    (stage,) = (StageConfig(name="adversarial", steps=60, weights={"l1": 1.0}, adversary=True),)
    often = config(precision="fp16", stages=(stage,))
    rarely = dataclasses.replace(often, adversary=dataclasses.replace(often.adversary, steps_per_generator_step=5))
    for settings in (often, rarely):
        splits = Spoiled(settings).splits(PictureCache(Path()))
        with pytest.raises(ArithmeticError, match="not finite in any step"):
            _steps(Spoiled, settings, splits, stage)
    Overflowing.bad = set(range(1, 10))
    seconds, _, _ = _steps(Overflowing, often, splits, stage)
    assert seconds > 0


def test_a_skipped_first_step_leaves_momentum_untouched() -> None:
    """torch's fused SGD begins its momentum with what lies in memory when a scaler skips the first step."""
    network = nn.Linear(64, 64, bias=False)
    optimizer = make_optimizer("sgd:momentum=0.9", network, 0.1, (0.0, 0.0))
    before, item = network.weight.detach().clone(), torch.amp.GradScaler("cpu")
    for gradient in (torch.inf, 1.0):
        network.weight.grad = torch.full_like(network.weight, gradient)
        item.scale(torch.zeros(()))
        item.unscale_(optimizer)
        item.step(optimizer)
        item.update()
    expected = 0.1 / 2**15  # the scale has been halved once
    assert torch.allclose(before - network.weight, torch.full_like(before, expected), rtol=1e-2)


def test_moments_take_the_layout_of_their_parameters(tmp_path: Path) -> None:
    """run.yaml may name another memory layout when a run is resumed."""
    settings = config(channels_last=True, optimizer="adam")
    first = trainer(tmp_path, settings)
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    other = trainer(tmp_path, dataclasses.replace(settings, channels_last=False))
    assert other.resume()
    step = Step(other.networks, other.config, other.config.stages[1], other.meters, other.clock)
    step.load(other._pending)
    turned = 0
    for name, optimizer in step.optimizers.items():
        saved = other._pending["optimizers"][name]["state"]
        for number, (parameter, state) in enumerate(optimizer.state.items()):
            assert torch.equal(state["exp_avg"], saved[number]["exp_avg"])
            assert state["exp_avg"].stride() == parameter.stride()
            turned += saved[number]["exp_avg"].stride() != parameter.stride()
    assert turned >= 2


@pytest.mark.parametrize("name", ["mps", "meta", "nonsense"])
def test_devices_that_do_not_train_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"device '{name}'.*cpu"):
        choose_device(name)


def test_nothing_to_measure_ends_no_stage() -> None:
    best = Best(Toy.metrics, "error")
    for step in range(3):
        assert not best.note(step, {})
    assert best.without == 0


@pytest.mark.parametrize("fields", [{"early_stopping": 2}, {"keep_best": "error"}])
def test_deciding_by_validation_needs_some(fields: dict[str, Any]) -> None:
    splits = Splits(Noise(), [])
    with pytest.raises(UsageError, match="there are no validation examples to decide by"):
        check_validation(config(**fields), splits)
    check_validation(config(), splits)


def test_the_line_of_a_stage_that_ends_early_is_its_last(tmp_path: Path) -> None:
    stages = (StageConfig(name="one", steps=40, weights={"l1": 1.0}),)
    Worsening.script = [1.0] + [2.0] * 9
    run = trainer(tmp_path, config(validate_every=2, early_stopping=1, stages=stages, log_every=3), Worsening)
    shown: list[tuple[str, bool]] = []
    run.console.show = lambda text, last=False: shown.append((text, last))  # type: ignore[method-assign]
    run.train()
    assert "one 4/4 " in shown[-1][0]
    assert [last for _, last in shown] == [False, True]


def test_the_pace_counts_no_validation_as_training(tmp_path: Path) -> None:
    class Slow(Toy):
        def evaluate(self, generator: nn.Module | None, example: Any) -> Evaluated:
            time.sleep(0.5)
            return super().evaluate(generator, example)

    run = trainer(tmp_path, config(validate_every=100), Slow)
    run.train()
    assert run.seconds_validating >= 1.0
    assert run.pace.trained <= run.seconds + 0.25
    again = trainer(tmp_path, config(validate_every=100), Slow)
    again.resume()
    assert abs(again.seconds - run.seconds) < 0.25, "nor does the last checkpoint, written within its pause"
    assert again.seconds_validating <= again.seconds_aside


def test_lion_by_hand() -> None:
    """The sign of an interpolation of momentum and gradient, and decay beside it (Chen et al. 2023, algorithm 2)."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    layer = nn.Module()
    layer.weight = weight
    optimizer = make_optimizer("lion:weight_decay=0.5", layer, 0.1, (0.9, 0.99))
    expected, momentum = weight.detach().clone(), torch.zeros(3)
    for gradient in (torch.tensor([0.3, -0.2, 0.0]), torch.tensor([-0.01, 0.5, -1.0])):
        weight.grad = gradient.clone()
        optimizer.step()
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * (0.9 * momentum + 0.1 * gradient).sign()
        momentum = 0.99 * momentum + 0.01 * gradient
    torch.testing.assert_close(weight.detach(), expected)


def test_moved_noise_leaves_no_trace_in_batch_norm(tmp_path: Path) -> None:
    """Statistics for inference are those of the outputs that are trained on, whatever regularizers synthesize besides."""
    settings = config()
    task = Toy(settings)
    networks = Networks(task, settings, make_adversaries(task, settings))
    step = Step(networks, settings, settings.stages[1], Meters(), Clock(networks.device))
    before = {name: value.clone() for name, value in networks.generator.named_buffers()}
    assert any(name.endswith("running_mean") for name in before)
    outputs = [step._synthesize({"x": torch.rand(2, 3, 8, 8)}) for _ in range(2)]
    for name, value in networks.generator.named_buffers():
        assert torch.equal(value, before[name]), name
    sum(output.square().sum() for output in outputs).backward()
    networks.generator(torch.rand(2, 3, 8, 8))
    assert any(not torch.equal(value, before[name]) for name, value in networks.generator.named_buffers())


def test_a_lazy_regularizer_that_a_stage_never_reaches_is_said() -> None:
    settings = config()
    settings = dataclasses.replace(
        settings, adversary=dataclasses.replace(settings.adversary, regularizers=("r1:interval=16", "spectral-norm"))
    )
    (text,) = never_computed(make_adversaries(Toy(settings), settings), settings)
    assert "stage 'adversarial' has 7 steps, and r1 is computed every 16: never there" in text
    assert never_computed(make_adversaries(Toy(config()), config()), config()) == []


def test_a_pause_begins_when_what_was_begun_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is still training is waited for on training's account, not on validation's."""
    now = [0.0]
    monkeypatch.setattr("advtasks.training.stopwatch.time.monotonic", lambda: now[0])
    monkeypatch.setattr("advtasks.training.stopwatch.wait_for", lambda device: now.__setitem__(0, 5.0))
    watch = Stopwatch()
    with watch.paused() as pause:
        watch.settled(torch.device("cpu"))
        now[0] = 7.0
    assert pause.seconds == 2
    assert watch.lap() == 5
