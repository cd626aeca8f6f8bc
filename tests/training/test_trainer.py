"""The trainer: exact resume, exact removal of the adversary, several views, stops that lose nothing."""

from __future__ import annotations

import dataclasses
import gc
import io
import itertools
import json
import signal
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from states import difference
from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks.config import AdversaryConfig, RunConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.errors import Diverged, Interrupted, TrainingError, UsageError
from advtasks.task import Batch, Evaluated, Judged, Metric, Splits, Task, Term, Terms, View
from advtasks.trackers import JsonLines, read_records
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.checks import check_stages
from advtasks.training.ema import MovingAverage
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console
from advtasks.training.schedules import factor


class Noise(Dataset[Batch]):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, position: Position) -> Batch:
        return {"x": torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(position.seed))}


class Network(nn.Module):
    """With dropout and batch norm, so that random numbers and buffers matter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv2d(6, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Toy(Task):
    """Learns the identity; shows one or two views."""

    term_names: ClassVar[frozenset[str]] = frozenset({"l1"})
    metrics: ClassVar[Sequence[Metric]] = (Metric("error", "error", False, "mean absolute error"),)
    names: tuple[str, ...] = ("image",)
    explode_at: int | None = None

    def generator(self) -> nn.Module:
        return Network()

    def splits(self, cache: PictureCache) -> Splits:
        return Splits(Noise(), [torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(9))])

    def examples(self, folder: Path, cache: PictureCache) -> tuple[Sequence[Any], Sequence[str]]:
        raise NotImplementedError

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        return generator(batch["x"])

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        value = (output - batch["x"]).abs().mean()
        if self.explode_at is not None:
            self.explode_at -= 1
            value = value * (float("nan") if self.explode_at < 0 else 1.0)
        return {"l1": Term(value, weights["l1"])}

    def views(self) -> dict[str, View]:
        return {name: View() for name in self.names}

    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        whole = Judged(batch["x"], output)
        return {
            name: whole if name == "image" else Judged(batch["x"][..., :6, :6], output[..., :6, :6])
            for name in self.names
        }

    def evaluate(self, generator: nn.Module | None, example: Tensor) -> Evaluated:
        assert generator is not None
        return Evaluated({"error": (generator(example) - example).abs().mean().item()})

    def manifest(self) -> dict[str, Any]:
        return {}


def config(**fields: Any) -> RunConfig:
    stages = (
        StageConfig(name="plain", steps=5, weights={"l1": 1.0}, learning_rate=1e-2, schedule="cosine"),
        StageConfig(name="adversarial", steps=7, weights={"l1": 1.0}, adversary=True, learning_rate=5e-3),
    )
    adversary = AdversaryConfig(
        discriminator="patch:features=4:layers=1:norm=instance",
        regularizers=("r1:interval=3", "spectral-norm"),
        weight=0.1,
    )
    values = {"batch": 3, "device": "cpu", "precision": "fp32", "log_every": 1, "checkpoint_every": 2, "stages": stages,
              "adversary": adversary, "validate_every": 4, "checkpoints_kept": 3, "validate_share": 0.0}  # fmt: skip
    return RunConfig(**{**values, **fields})


def trainer(folder: Path, settings: RunConfig | None = None, task: type[Toy] = Toy, **fields: Any) -> Trainer:
    settings = settings or config()
    made = task(settings)
    for name, value in fields.items():
        setattr(made, name, value)
    checkpoints = Checkpoints(folder / "checkpoints", settings.checkpoints_kept)
    return Trainer(
        made,
        settings,
        made.splits(PictureCache(folder)),
        make_adversaries(made, settings),
        checkpoints,
        [JsonLines(folder)],
        Console(io.StringIO()),
    )


def stop_at(run: Trainer, step: int, error: type[BaseException]) -> None:
    """Let the run die when it is about to take its step number `step`."""
    take = run._take_step

    def until(*arguments: Any) -> None:
        if run.step == step:
            raise error
        take(*arguments)

    run._take_step = until  # type: ignore[method-assign]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A record without times and memory."""
    return {k: v for k, v in record.items() if not k.startswith(("seconds", "memory", "images_per_s"))}


def whole_and_resumed(made: Callable[[str], Trainer], stop: int) -> tuple[Trainer, Trainer, dict[str, Any]]:
    """A run, and one that was stopped before a step and resumed, which must end alike; with what was resumed."""
    whole, first, second = made("whole"), made("parts"), made("parts")
    whole.train()
    stop_at(first, stop, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    assert second.resume()
    assert 0 < second.step <= stop
    assert second._pending is not None
    resumed = {**second._pending, "step": second.step}
    second.train()
    assert difference(second.state(), whole.state()) is None
    return whole, second, resumed


@pytest.mark.parametrize("names", [("image",), ("image", "corner")])
@pytest.mark.parametrize("stop", [2, 4, 5, 6, 10])
def test_a_resumed_run_is_bit_identical(tmp_path: Path, stop: int, names: tuple[str, ...]) -> None:
    whole_and_resumed(lambda name: trainer(tmp_path / name, names=names), stop + 1)  # one step is lost with the process
    records = [[timeless(r) for r in read_records(tmp_path / part / "metrics.jsonl")] for part in ("whole", "parts")]
    assert records[0] == records[1]


@pytest.mark.parametrize(("half_life", "waiting"), [(400.0, 6), (0.0, 15)])
def test_a_moving_average_that_follows_now_and_then_is_resumed(tmp_path: Path, half_life: float, waiting: int) -> None:
    """Every eight images, of which a step has three; at half-life 0 it is the network."""

    def made(name: str) -> Trainer:
        run = trainer(tmp_path / name, config(ema_half_life=half_life))
        run.networks.ema.ramp = 1e9
        return run

    whole, _, resumed = whole_and_resumed(made, 11)
    assert (resumed["step"], resumed["ema"]["waiting"]) == (10, waiting)
    assert (difference(whole.state()["ema"], whole.state()["generator"]) is None) == (half_life == 0)


def test_a_checkpoint_of_ranks_that_differ_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(state: dict[str, Any], step: int) -> None:
        assert {"generator", "ema", "adversaries", "stage"} <= state.keys()
        raise TrainingError(f"the ranks have drifted apart at step {step}")

    monkeypatch.setattr("advtasks.training.loop.check_ranks_agree", differ)
    run = trainer(tmp_path)
    with pytest.raises(TrainingError, match="drifted apart at step 2"):
        run.train()
    assert not list((tmp_path / "checkpoints").glob("*"))


@pytest.mark.parametrize("shares", [True, False])
def test_all_phases_share_a_forward_pass_where_the_task_allows(tmp_path: Path, shares: bool) -> None:
    class Counting(Toy):
        shares_fake: ClassVar[bool] = shares
        made = 0

        def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
            self.made += 1
            return super().generate(generator, batch)

    run = trainer(tmp_path, task=Counting)
    run.train()
    plain, adversarial = (stage.steps for stage in run.config.stages)
    due = sum(phase.due(step) for step in range(adversarial) for phase in run.stage_step.phases)
    assert due > adversarial
    assert run.networks.task.made == plain + (adversarial if shares else due)  # type: ignore[attr-defined]


def test_no_adversary_equals_weight_zero_bit_for_bit(tmp_path: Path) -> None:
    base = config()
    none = dataclasses.replace(base, adversary=dataclasses.replace(base.adversary, kind="none"))
    zero = dataclasses.replace(base, adversary=dataclasses.replace(base.adversary, weight=0.0))
    runs = {}
    for name, settings in (("none", none), ("zero", zero), ("some", base)):
        runs[name] = trainer(tmp_path / name, settings)
        runs[name].train()
    assert not runs["none"].networks.adversaries
    for part in ("generator", "ema"):
        assert difference(runs["none"].state()[part], runs["zero"].state()[part]) is None
        assert difference(runs["none"].state()[part], runs["some"].state()[part]) is not None
    records = read_records(tmp_path / "zero" / "metrics.jsonl")
    assert any("discriminator" in record for record in records), "with weight 0 the critic learns"


def test_each_view_has_an_adversary_of_its_own(tmp_path: Path) -> None:
    run = trainer(tmp_path, names=("image", "corner"))
    run.train()
    assert set(run.networks.adversaries) == {"image", "corner"}
    names = set().union(*(record for record in read_records(tmp_path / "metrics.jsonl")))
    assert {"discriminator/image", "discriminator/corner", "r1/image", "adversarial/corner", "l1"} <= names
    weights = [next(a.discriminator.parameters()) for a in run.networks.adversaries.values()]
    assert not torch.equal(weights[0], weights[1])


def test_the_optimisers_of_a_stage_end_with_it(tmp_path: Path) -> None:
    """Their moments are as large as the networks, and phases and steps refer to each other."""
    run = trainer(tmp_path)
    take, seen = run._take_step, []

    def looking(*arguments: Any) -> None:
        if run.step == 0:
            seen.append(weakref.ref(run.stage_step.optimizers["generator"]))
        if run.step == 5:
            seen.append(seen[0]())
        take(*arguments)

    run._take_step = looking  # type: ignore[method-assign]
    gc.disable()
    try:
        run.train()
    finally:
        gc.enable()
    assert seen[1] is None


def test_critic_steps_for_each_generator_step(tmp_path: Path) -> None:
    base = config()
    every = dataclasses.replace(base, adversary=dataclasses.replace(base.adversary, steps_per_generator_step=3))
    run = trainer(tmp_path, every)
    run.train()
    records = [r for r in read_records(tmp_path / "metrics.jsonl") if r["kind"] == "train"]
    assert ["l1" in record for record in records] == [True] * 5 + [False, False, True] * 2 + [False]
    assert ["discriminator" in record for record in records] == [False] * 5 + [True] * 7


def test_nan_stops_names_the_term_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = trainer(tmp_path, explode_at=7)
    with pytest.raises(
        TrainingError, match=r"'l1' is not finite at step 7.*last good checkpoint is .*step-00000006"
    ) as error:
        run.train()
    assert "learning-rate" in str(error.value)
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 6
    with torch.no_grad():
        next(again.networks.generator.parameters()).fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"generator\.layers\.0\.weight"):
        again.save()


def test_interrupt_writes_a_checkpoint_and_resumes(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    step = run._take_step

    def interrupted(*arguments: Any) -> None:
        if run.step == 2:
            signal.raise_signal(signal.SIGINT)
        step(*arguments)

    run._take_step = interrupted  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="SIGINT"):
        run.train()
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 3


def test_a_full_disk_keeps_old_checkpoints_and_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(tmp_path)
    said: list[str] = []
    run.console.say = said.append  # type: ignore[method-assign]
    save = torch.save
    folder = tmp_path / "checkpoints"
    (folder / "step-00000001.shards").mkdir(parents=True)  # a kill left it

    def full(state: Any, file: io.BufferedWriter) -> None:
        if state["step"] >= 4:
            (folder / f"step-{state['step']:08d}.shards").mkdir()  # the ranks' shares still found room
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(state, file)

    monkeypatch.setattr(torch, "save", full)
    run.train()
    assert run.step == 12
    assert any("No space left" in line and "step-00000002" in line for line in said)
    assert sorted(p.name for p in folder.iterdir()) == [
        "step-00000002.json",
        "step-00000002.pt",
    ]
    with pytest.raises(TrainingError, match="No space left"):
        run.save(required=True)


def test_a_damaged_newest_checkpoint_falls_back_and_says_so(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.train()
    folder = tmp_path / "checkpoints"
    assert sorted(path.name for path in folder.glob("*.pt")) == [f"step-{step:08d}.pt" for step in (8, 10, 12)]
    newest = bytearray((folder / "step-00000012.pt").read_bytes())
    newest[len(newest) // 2] ^= 0xFF
    (folder / "step-00000012.pt").write_bytes(bytes(newest))
    (folder / "step-00000010.json").unlink()
    said: list[str] = []
    state = Checkpoints(folder).latest(said.append)
    assert state is not None
    assert state["step"] == 8
    assert "step-00000012.pt: damaged" in said[0]
    assert "step-00000010.pt: unfinished" in said[1]
    (folder / "step-00000008.json").write_text(json.dumps({"sha256": "0"}))
    with pytest.raises(TrainingError, match="every checkpoint is damaged"):
        Checkpoints(folder).latest(said.append)


def test_a_checkpoint_of_another_version_is_told(tmp_path: Path) -> None:
    first = trainer(tmp_path / "parts")
    stop_at(first, 7, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    state = first.checkpoints.latest(print)
    assert state is not None
    del state["seconds_pace"]
    first.checkpoints.save(state["step"], state)
    with pytest.raises(TrainingError, match=r"KeyError: 'seconds_pace'.*another version\?.*--initial-weights"):
        trainer(tmp_path / "parts").resume()


def test_a_kill_within_the_first_checkpoint_starts_from_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "step-00000002.pt").write_bytes(b"renamed, but its .json was not written any more")
    said: list[str] = []
    assert Checkpoints(tmp_path).latest(said.append) is None
    assert "step-00000002.pt: unfinished" in said[0]


def test_moving_average_closed_form() -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
    average = MovingAverage(network, half_life=10.0, ramp=1e9)
    average.images = 1
    with torch.no_grad():
        network.weight.fill_(1.0)
    for _ in range(4):
        average.update(network, batch=5)
    assert next(average.network.parameters()).item() == pytest.approx(1 - 0.5 ** (20 / 10))
    rare = MovingAverage(network, half_life=1000.0, ramp=1e9)
    with torch.no_grad():
        network.weight.fill_(2.0)
    for _ in range(7):
        rare.update(network, batch=6)
    assert next(rare.network.parameters()).item() == pytest.approx(2 - 0.5 ** (24 / 1000)), "every 20 images or more"
    assert rare.waiting == 18
    none = MovingAverage(network, half_life=0.0)
    with torch.no_grad():
        network.weight.fill_(3.0)
    none.update(network, batch=1)
    assert next(none.network.parameters()).item() == 3
    ramped = MovingAverage(network, half_life=1e9, ramp=0.05)
    assert ramped.decay(8) == 0, "at the beginning the average is the network"
    ramped.images = 1000
    assert ramped.decay(50) == pytest.approx(0.5)


def test_learning_rate_schedules() -> None:
    assert [factor("constant", s, 4) for s in range(4)] == [1, 1, 1, 1]
    assert [factor("linear", s, 4) for s in range(4)] == [1, 0.75, 0.5, 0.25]
    assert factor("cosine", 0, 10) == 1
    assert factor("cosine", 5, 10) == pytest.approx(0.505)
    assert factor("cosine", 10, 10) == pytest.approx(0.01)


def test_mistakes_in_stages_are_found_before_training() -> None:
    stage = StageConfig(name="a", steps=1, weights={"l2": 1.0})
    for stages, message in (
        ((), "there are none"),
        ((stage,), "unknown loss term 'l2': did you mean 'l1'"),
        ((dataclasses.replace(stage, weights={}),), "no loss term"),
        ((dataclasses.replace(stage, weights={"l1": 1.0}),) * 2, "same name"),
        ((dataclasses.replace(stage, weights={"l1": 1.0}, adversary=True),), "steps-per-generator-step 2.* has only 1"),
    ):
        settings = config(stages=stages, adversary=AdversaryConfig(steps_per_generator_step=2))
        with pytest.raises(UsageError, match=message):
            check_stages(Toy(settings), settings)
    for name in ("", "../out", "a[1]", "a/b"):
        with pytest.raises(UsageError, match="they name files"):
            dataclasses.replace(stage, name=name)
    for field in ("ema_half_life", "clip_norm", "rank_timeout"):
        with pytest.raises(UsageError, match=f"{field} must be at least"):
            config(**{field: float("nan")})


@pytest.mark.parametrize("weight", ["1@0,0@3", "1@0,0@2,1@6"])
def test_a_generator_without_a_term_for_a_while_stays_as_it_is(tmp_path: Path, weight: str) -> None:
    base = config()
    stage = dataclasses.replace(base.stages[1], weights={"l1": 0.0}, steps=8)
    adversary = dataclasses.replace(base.adversary, weight=weight)
    run = trainer(tmp_path, config(stages=(stage,), adversary=adversary))
    weights: list[dict[str, Tensor]] = []
    take = run._take_step

    def look(*arguments: Any) -> None:
        take(*arguments)
        weights.append({n: p.detach().clone() for n, p in run.networks.generator.named_parameters()})

    run._take_step = look  # type: ignore[method-assign]
    run.train()
    moved = [difference(one, other) is not None for one, other in itertools.pairwise(weights)]
    silent = {"1@0,0@3": range(3, 8), "1@0,0@2,1@6": range(2, 3)}[weight]
    assert [step for step, moves in enumerate(moved, 1) if not moves] == list(silent)


def test_checkpoints_that_are_gone_or_lack_their_shards_are_said(tmp_path: Path) -> None:
    kept, said = Checkpoints(tmp_path, 3), []
    for step in (4, 8):
        kept.shards(step).mkdir()
        for name in ("a.distcp", ".metadata"):
            (kept.shards(step) / name).write_bytes(bytes(100))
        kept.save(step, {"step": step})
    assert kept.latest(said.append) == {"step": 8}
    assert not said
    (kept.shards(8) / "a.distcp").write_bytes(bytes(50))
    assert kept.latest(said.append) == {"step": 4}
    assert "damaged (missing or not as written: a.distcp of its shards)" in said[0]
    (tmp_path / "step-00000004.json").write_text("[]")
    (tmp_path / "step-00000008.pt").unlink()
    said.clear()
    with pytest.raises(TrainingError, match="every checkpoint is damaged or gone"):
        kept.latest(said.append)
    assert "step-00000004.pt: unfinished (its .json is missing or unreadable)" in said[0]
    assert "step-00000008.pt: missing, though it was finished" in said[1]


def test_the_average_shortens_as_the_learning_rate_falls(tmp_path: Path) -> None:
    average = MovingAverage(nn.Linear(1, 1), half_life=100.0, ramp=1e9)
    average.images = 1
    assert average.decay(10, rate=1.0) == pytest.approx(0.5**0.1)
    assert average.decay(10, rate=0.1) == pytest.approx(0.5)
    stages = (StageConfig(name="plain", steps=6, weights={"l1": 1.0}, learning_rate=1e-2, schedule="linear"),)
    runs = [
        trainer(tmp_path / str(follow), config(ema_half_life=2.0, ema_follows_rate=follow, stages=stages, batch=20))
        for follow in (False, True)
    ]
    for run in runs:
        run.train()
    assert difference(runs[0].state()["generator"], runs[1].state()["generator"]) is None
    assert difference(runs[0].state()["ema"], runs[1].state()["ema"]) is not None


def test_two_time_scales_are_two_optimizers_with_their_own_rates(tmp_path: Path) -> None:
    base = config()
    settings = dataclasses.replace(
        base, adversary=dataclasses.replace(base.adversary, learning_rate=2e-3, regularizers=())
    )
    run = trainer(tmp_path, settings)
    run.train()
    last = [r for r in read_records(tmp_path / "metrics.jsonl") if r["kind"] == "train"][-1]
    assert last["learning_rate/generator"] == pytest.approx(5e-3)
    assert last["learning_rate/discriminator"] == pytest.approx(2e-3)


def test_resume_holds_the_state_of_stateful_parts(tmp_path: Path) -> None:
    """ADA's p, LeCam's averages, historical means, top-k's share, spectral vectors: bit for bit."""
    base = config()
    adversary = dataclasses.replace(
        base.adversary,
        regularizers=("lecam", "historical-averaging", "top-k:every=2", "spectral-penalty:interval=2"),
        augments=("ada:interval=1:speed=50", "instance-noise:steps=6", "diffaugment"),
    )
    settings = dataclasses.replace(base, adversary=adversary)
    _, _, resumed = whole_and_resumed(lambda name: trainer(tmp_path / name, settings), 9)
    assert resumed["step"] == 8


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"adversary": {"discriminator": "patch:features=8:layers=1:norm=instance"}}, "not of the networks"),
        ({"optimizer": "sgd:momentum=0.9"}, "not of the networks"),
        ({"adversary": {"critics": 2}}, "not of the networks"),
        ({"stages": 1}, "began with 2 stages, and run.yaml has 1"),
    ],
)
def test_a_run_yaml_that_was_edited_is_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    first = trainer(tmp_path)
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    edited = config()
    for name, value in change.items():
        new = edited.stages[:1] if name == "stages" else value
        new = dataclasses.replace(edited.adversary, **value) if name == "adversary" else new
        edited = dataclasses.replace(edited, **{name: new})
    second = trainer(tmp_path, edited)

    def go_on() -> None:
        second.resume()
        second.train()

    with pytest.raises(TrainingError, match=f"{told}(.|\n)*--initial-weights"):
        go_on()


def test_other_lengths_in_an_edited_run_yaml_are_said(tmp_path: Path) -> None:
    """And change nothing, the schedule of the learning rate included."""
    base = config()
    base = dataclasses.replace(base, stages=(base.stages[0], dataclasses.replace(base.stages[1], schedule="linear")))
    whole = trainer(tmp_path / "whole", base)
    whole.train()
    first = trainer(tmp_path, base)
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    longer = dataclasses.replace(base, stages=(base.stages[0], dataclasses.replace(base.stages[1], steps=20)))
    second = trainer(tmp_path, longer)
    said: list[str] = []
    second.console.say = said.append  # type: ignore[method-assign]
    assert second.resume()
    assert "stage 'adversarial' began with 7 steps and goes on so; run.yaml says 20" in said[-1]
    second.train()
    assert second.step == 12
    assert difference(second.state()["generator"], whole.state()["generator"]) is None


def test_a_good_checkpoint_that_is_written_anew_keeps_its_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a roll-back does, on a disk that is full by then."""
    kept = Checkpoints(tmp_path, 2)
    kept.shards(4).mkdir()
    (kept.shards(4) / "0.distcp").write_bytes(b"a share")
    kept.save(4, {"step": 4})

    def full(state: Any, file: io.BufferedWriter) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        kept.save(4, {"step": 4})
    monkeypatch.undo()
    state = kept.latest(print)
    assert state is not None
    assert (kept.shards(4) / "0.distcp").read_bytes() == b"a share"


def test_values_in_an_edited_run_yaml_are_said_and_others_are_not(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    base = config()
    stages = (base.stages[0], dataclasses.replace(base.stages[1], learning_rate=1e-3))
    adversary = dataclasses.replace(base.adversary, loss="hinge")
    for settings, told in (
        (dataclasses.replace(base, devices=2), []),
        (
            dataclasses.replace(base, stages=(dataclasses.replace(base.stages[0], learning_rate=1.0), base.stages[1])),
            [],
        ),
        (
            dataclasses.replace(base, stages=stages, adversary=adversary),
            [
                f"run.yaml was edited: adversary.loss was {base.adversary.loss} and is hinge from here on",
                f"run.yaml was edited: stages.1.learning_rate was {base.stages[1].learning_rate} and is 0.001 "
                "from here on",
            ],
        ),
        (
            dataclasses.replace(
                base,
                optimizer="adam:weight_decay=0.5",
                stages=(base.stages[0], dataclasses.replace(base.stages[1], weights={"l1": 1.0, "more": 2.0})),
            ),
            [
                f"run.yaml was edited: optimizer was {base.optimizer} and is adam:weight_decay=0.5 from the next stage on",
                "run.yaml was edited: stages.1.weights.more was nothing and is 2.0 from here on",
            ],
        ),
    ):
        again = trainer(tmp_path, settings)
        said: list[str] = []
        again.console.say = said.append  # type: ignore[method-assign]
        assert again.resume()
        assert [line for line in said if "edited" in line] == [f"warning: {line}" for line in told]


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_while_a_checkpoint_is_written_anew_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """As a roll-back does; just before the new one takes its place, or just after."""
    kept = Checkpoints(tmp_path, 2)
    kept.save(4, {"step": 4, "rate": 1.0})
    note = Checkpoints._note

    def killed(self: Checkpoints, path: Path, recorded: dict[str, Any]) -> None:
        if before:
            note(self, path, recorded)
        if before == ("before" in recorded):
            raise KeyboardInterrupt
        note(self, path, recorded)

    monkeypatch.setattr(Checkpoints, "_note", killed)
    with pytest.raises(KeyboardInterrupt):
        kept.save(4, {"step": 4, "rate": 0.5})
    monkeypatch.undo()
    state = kept.latest(print)
    assert state is not None
    assert state["rate"] == (1.0 if before else 0.5)


def test_a_generator_that_would_never_be_trained_is_refused_without_a_critic_too() -> None:
    base = config()
    adversary = dataclasses.replace(base.adversary, kind="none", steps_per_generator_step=50)
    with pytest.raises(UsageError, match="would never be trained"):
        check_stages(Toy(base), config(adversary=adversary))


def test_a_run_that_goes_on_in_float16_is_not_taken_for_another(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    stop_at(first, 9, Interrupted)
    with pytest.raises(Interrupted):
        first.train()
    again = trainer(tmp_path, config(precision="fp16"))
    assert again.resume()
    again.train()
    assert again.step == 12


def test_weights_that_another_rank_finds_not_finite_stop_all_before_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, config(checkpoint_every=3))
    monkeypatch.setattr("advtasks.training.loop.gathered", lambda own, **_: [own] if own else [own, "generator"])
    with pytest.raises(Diverged, match="weights of generator"):
        run.train()
    assert not list(tmp_path.rglob("step-*.pt"))


def test_time_since_the_last_record_outlives_a_kill(tmp_path: Path) -> None:
    run = trainer(tmp_path, config(log_every=100, checkpoint_every=2))
    stop_at(run, 3, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    again = trainer(tmp_path, config(log_every=100, checkpoint_every=2))
    assert again.resume()
    assert again.step == 2
    assert 0 < again.seconds < 60
