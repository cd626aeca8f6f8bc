"""``--tune``: measures every choice, takes the fastest that agrees with float32, keeps the table in the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from test_trainer import Toy, config, trainer
from torch import Tensor, nn

from advtasks import devices
from advtasks.cli.train import _check_tuning
from advtasks.config_files import read_yaml
from advtasks.data.cache import PictureCache
from advtasks.task import Batch
from advtasks.trackers import read_records
from advtasks.training import tune as module
from advtasks.training.adversaries import make_adversaries
from advtasks.training.networks import Networks
from advtasks.training.tune import tune


class Rough(Toy):
    """Its output is wrong in bfloat16, and compiling it fails."""

    calls: ClassVar[list[str]] = []

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        out = generator(batch["x"])
        self.calls.append(str(out.dtype))
        return out.float() * (3.0 if out.dtype == torch.bfloat16 else 1.0)


@pytest.fixture
def bf16_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "computes_bf16", lambda device: True)


@pytest.mark.usefixtures("bf16_is_here")
def test_the_fastest_that_agrees_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {("fp32", False): 3.0, ("fp32", True): 2.0, ("bf16", False): 1.0, ("bf16", True): 0.5}
    slower = {None: 0.0, True: 0.2, False: -0.1}
    real: Callable[..., Any] = module._steps

    def steps(make_task: Any, settings: Any, splits: Any, stage: Any) -> tuple[float, float, dict[str, float]]:
        _, _, terms = real(make_task, settings, splits, stage)
        taken = seconds[settings.precision, settings.channels_last] + slower[settings.critic_channels_last]
        return taken, 0.0, terms

    def no_compiler(network: nn.Module) -> nn.Module:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(module, "_steps", steps)
    monkeypatch.setattr(torch, "compile", no_compiler)
    said: list[str] = []
    chosen, found = tune(Toy, config(), PictureCache(tmp_path), said.append)
    assert (chosen.precision, chosen.channels_last, chosen.critic_channels_last) == ("bf16", True, False)
    assert len(found) == 10, "two precisions, each with four layouts and the best of them compiled"
    chosen, found = tune(Rough, config(), PictureCache(tmp_path), said.append)
    assert (chosen.precision, chosen.channels_last, chosen.compile) == ("fp32", True, False)
    assert [choice.agrees for choice in found] == [True] * 4 + [False] * 5, "of bf16 there is none to compile"
    assert found[-1].failure == "no C++ compiler"
    assert found[1].whole == 2.0 * 12, "weighed with the stages' lengths"
    assert any("too far" in line for line in said)
    assert said[-1] == "chosen: fp32 channels-last, critic contiguous"


class Wrong(torch.autograd.Function):
    """In bfloat16 its gradient is not its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -3 * gradient if gradient.dtype == torch.bfloat16 else gradient


class Misled(Toy):
    """All its losses are right."""

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        return Wrong.apply(generator(batch["x"]))


@pytest.mark.usefixtures("bf16_is_here")
def test_wrong_gradients_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses of the first steps do not tell."""
    real: Callable[..., Any] = module._steps

    def steps(make_task: Any, settings: Any, splits: Any, stage: Any) -> tuple[float, float, dict[str, float]]:
        _, _, terms = real(make_task, settings, splits, stage)
        return (1.0 if settings.precision == "bf16" else 2.0), 0.0, terms

    monkeypatch.setattr(module, "_steps", steps)
    monkeypatch.setattr(torch, "compile", lambda network: network)
    said: list[str] = []
    for task, precision in ((Toy, "bf16"), (Misled, "fp32")):
        chosen, found = tune(task, config(), PictureCache(tmp_path), said.append)
        assert chosen.precision == precision, [(choice.precision, choice.apart) for choice in found]


@pytest.mark.parametrize(("compiling", "taken"), [(5.0, True), (7.0, False)])
def test_compiling_must_pay_within_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiling: float, taken: bool
) -> None:
    """Twelve steps that take half a second less each."""
    real: Callable[..., Any] = module._steps

    def steps(make_task: Any, settings: Any, splits: Any, stage: Any) -> tuple[float, float, dict[str, float]]:
        _, _, terms = real(make_task, settings, splits, stage)
        seconds = (
            0.5 if settings.compile else 1.0 + (settings.channels_last or settings.critic_channels_last is not None)
        )
        return seconds, compiling / len(config().stages), terms

    monkeypatch.setattr(module, "_steps", steps)
    monkeypatch.setattr(torch, "compile", lambda network: network)
    steps_in_all = sum(stage.steps for stage in config().stages)
    assert 5.0 < 0.5 * steps_in_all < 7.0
    said: list[str] = []
    chosen, _ = tune(Toy, dataclasses.replace(config(), precision="fp32"), PictureCache(tmp_path), said.append)
    assert chosen.compile == taken
    assert any(f"compiled in {compiling:.0f} s" in line for line in said)


def test_the_choice_is_kept_in_the_run(advtasks: Any, tmp_path: Path) -> None:
    code, _, err = advtasks(
        "train", "points", "--tune", "--steps", "4", "--batch", "32", "--device", "cpu", "--out", tmp_path / "run"
    )
    assert code == 0, err
    assert "chosen: " in err
    kept = read_yaml(tmp_path / "run" / "run.yaml")
    best = min((c for c in kept["tuned"] if c["apart"] <= 0.05 and not c["failure"]), key=lambda c: c["whole"])
    assert {kept[name] == best[name] for name in ("precision", "channels_last", "compile")} == {True}
    (tmp_path / "run" / "bundle.safetensors").unlink()
    code, _, err = advtasks("train", "--resume", tmp_path / "run")
    assert code == 0, err


@pytest.mark.parametrize(
    "flag",
    [("--precision", "fp32"), ("--precision=bf16",), ("--compile",), ("--no-channels_last",), ("--no-channels-last",),
     ("--critic_channels_last", "True")],
)  # fmt: skip
def test_tuning_refuses_what_it_would_overrule(advtasks: Any, flag: tuple[str, ...]) -> None:
    code, _, err = advtasks("train", "points", "--tune", *flag)
    assert code == 2
    assert "--tune chooses" in err


def test_what_a_file_says_is_not_overruled_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("precision: fp32\nbatch: 8\ncompile: true\n")
    _check_tuning(["--batch", "4"], tmp_path / "a.yaml")
    assert capsys.readouterr().err == f"note: --tune chooses in place of precision, compile in {tmp_path / 'a.yaml'}\n"


def test_whole_periods_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third step costs a penalty, every second one a generator step: six steps tell what a step costs."""
    adversary = dataclasses.replace(config().adversary, steps_per_generator_step=2)
    settings = config(adversary=adversary)
    taken: list[int] = []

    def seconds(step: Any, stream: Any, number: int, device: torch.device) -> float:
        step.run(next(stream), number, number)
        taken.append(number)
        return 1.0 + 10.0 * (number % 3 == 2) + 100.0 * (number % 2 == 1)

    monkeypatch.setattr(module, "_seconds", seconds)
    splits = Toy(settings).splits(PictureCache(tmp_path))
    mean, _, terms = module._steps(Toy, settings, splits, settings.stages[1])
    assert taken == [4, 5, *range(6, 12)], "two to warm up, the second with all that is due"
    assert mean == pytest.approx(1 + 20 / 6 + 300 / 6)
    assert {"r1", "adversarial", "discriminator", "l1"} <= terms.keys(), "each term when it first appears"
    lazy = dataclasses.replace(adversary, regularizers=("r1:interval=16",), steps_per_generator_step=5)
    task = Toy(settings)
    networks = Networks(task, config(adversary=lazy), make_adversaries(task, config(adversary=lazy)))
    step = module.Step(
        networks, config(adversary=lazy), settings.stages[1], module.Meters(), module.Clock(networks.device)
    )
    assert module._period(step) == 32, "not 80"
    taken.clear()
    _, _, terms = module._steps(Toy, config(adversary=lazy), splits, settings.stages[1])
    assert taken == [29, 30, 31, *range(32, 64)], "29 is the last generator step before the clock runs"
    assert "gradient-norm/generator" in terms, "so that its gradients are compared"


def test_a_choice_without_memory_is_a_row_and_processes_share_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = set()

    class Large(Toy):
        def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
            sizes.add(len(batch["x"]))
            if not batch["x"].is_contiguous(memory_format=torch.channels_last):
                raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
            return super().generate(generator, batch)

    def no_compiler(network: nn.Module) -> nn.Module:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", no_compiler)
    monkeypatch.setattr(module, "computes_bf16", lambda device: False)
    monkeypatch.setattr(module, "rehearse", lambda *arguments: [])
    said: list[str] = []
    chosen, found = tune(Large, config(batch=6, devices=2), PictureCache(tmp_path), said.append)
    assert chosen.channels_last
    assert [choice.failure for choice in found] == ["out of memory", "", "out of memory", "", "no C++ compiler"]
    assert sizes == {3}
    monkeypatch.setattr(Large, "generate", no_compiler)
    with pytest.raises(TypeError):
        tune(Large, config(), PictureCache(tmp_path), said.append)


def test_a_critic_runs_in_a_layout_of_its_own(tmp_path: Path) -> None:
    found = {}
    for layouts in ((False, None), (True, False), (False, True)):
        settings = config(channels_last=layouts[0], critic_channels_last=layouts[1])
        run = trainer(tmp_path / str(layouts), settings)
        seen = []
        critic = run.networks.adversaries["image"].discriminator
        critic.register_forward_pre_hook(lambda module, given, seen=seen: seen.append(given[0]))
        run.train()
        wanted = settings.channels_last if layouts[1] is None else layouts[1]
        assert all(tensor.is_contiguous(memory_format=torch.channels_last) == wanted for tensor in seen)
        records = [r for r in read_records(tmp_path / str(layouts) / "metrics.jsonl") if r["kind"] == "train"]
        found[layouts] = [records[-1][name] for name in ("l1", "adversarial", "discriminator")]
    # another layout of the generator has other dropout
    assert found[False, True] == pytest.approx(found[False, None], rel=1e-2)


def test_tuning_for_several_processes_computes_with_the_threads_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    seen, before = set(), torch.get_num_threads()

    def steps(*arguments: Any) -> tuple[float, float, dict[str, float]]:
        seen.add(torch.get_num_threads())
        return 1.0, 0.0, {}

    monkeypatch.setattr(module, "_steps", steps)
    tune(Toy, config(devices=2, batch=2), PictureCache(tmp_path), lambda text: None)
    assert (seen, torch.get_num_threads()) == ({3}, before)


def test_tuning_leaves_the_configuration_otherwise(tmp_path: Path) -> None:
    settings = config()
    chosen, _ = tune(Toy, settings, PictureCache(tmp_path), lambda text: None)
    same = dataclasses.replace(
        settings,
        precision=chosen.precision,
        channels_last=chosen.channels_last,
        critic_channels_last=chosen.critic_channels_last,
        compile=chosen.compile,
    )
    assert chosen == same
