"""``--tune``: measures every choice, takes the fastest that agrees with float32, keeps the table in the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from test_trainer import Toy, config
from torch import Tensor, nn

from advtasks.config_files import read_yaml
from advtasks.data.cache import PictureCache
from advtasks.task import Batch
from advtasks.training import tune as module
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
    real: Callable[..., Any] = module._steps

    def steps(make_task: Any, settings: Any, splits: Any, stage: Any) -> tuple[float, dict[str, float]]:
        _, terms = real(make_task, settings, splits, stage)
        return seconds[settings.precision, settings.channels_last], terms

    def no_compiler(network: nn.Module) -> nn.Module:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(module, "_steps", steps)
    monkeypatch.setattr(torch, "compile", no_compiler)
    said: list[str] = []
    chosen, found = tune(Toy, config(), PictureCache(tmp_path), said.append)
    assert (chosen.precision, chosen.channels_last) == ("bf16", True)
    chosen, found = tune(Rough, config(), PictureCache(tmp_path), said.append)
    assert (chosen.precision, chosen.channels_last, chosen.compile) == ("fp32", True, False)
    assert [choice.agrees for choice in found] == [True, True, False, False, False]
    assert found[-1].failure == "no C++ compiler"
    assert found[1].whole == 2.0 * 12, "weighed with the stages' lengths"
    assert any("too far" in line for line in said)
    assert said[-1] == "chosen: fp32 channels-last"


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


@pytest.mark.parametrize("flag", [("--precision", "fp32"), ("--precision=bf16",), ("--compile",)])
def test_tuning_refuses_what_it_would_overrule(advtasks: Any, flag: tuple[str, ...]) -> None:
    code, _, err = advtasks("train", "points", "--tune", *flag)
    assert code == 2
    assert "--tune chooses" in err


def test_tuning_leaves_the_configuration_otherwise(tmp_path: Path) -> None:
    settings = config()
    chosen, _ = tune(Toy, settings, PictureCache(tmp_path), lambda text: None)
    same = dataclasses.replace(
        settings, precision=chosen.precision, channels_last=chosen.channels_last, compile=chosen.compile
    )
    assert chosen == same
