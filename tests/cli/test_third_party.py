"""Plugins of other distributions, as pip would install them: a working one, and a broken one beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOSS = """
from dataclasses import dataclass
from advtasks.hookspecs import Component, hookimpl
from advtasks.losses import AdversarialLoss

@hookimpl
def advtasks_losses():
    return [Component(name="margin", summary="a margin loss", build="advtasks_margin:Margin")]

@dataclass(frozen=True, kw_only=True)
class Margin(AdversarialLoss):
    margin: float = 1.0

    def discriminator(self, real_logits, fake_logits):
        return (self.margin - real_logits + fake_logits).relu().mean()

    def generator(self, fake_logits, real_logits=None):
        return -fake_logits.mean()
"""


TASK = """
from advtasks.config import AdversaryConfig, RunConfig, StageConfig
from advtasks.hookspecs import Component, TaskSpec, VerbSpec, hookimpl
from dataclasses import dataclass

@hookimpl
def advtasks_tasks():
    return [TaskSpec(name="dream", summary="pictures of one colour", config="advtasks_dream:Dream",
                     task="advtasks_dreaming:Dreaming", presets="advtasks_dream:PRESETS", needs_data=False)]

@hookimpl
def advtasks_generators():
    return [Component(name="dreamer", summary="a layer", build="advtasks_dreaming:Dreamer")]

@hookimpl
def advtasks_verbs():
    return [VerbSpec(name="dream", summary="dreams", usage="-o OUT", run="advtasks_dreaming:main")]

@hookimpl
def advtasks_trackers():
    return [Component(name="far", summary="a service", build="advtasks_dreaming:Far")]

@dataclass(frozen=True, kw_only=True)
class Dream(RunConfig):
    width: int = 3

STAGE = StageConfig(name="all", steps=3, weights={"l1": 1.0}, adversary=True)
CRITIC = AdversaryConfig(discriminator="patch:features=4:layers=1:norm=none")
PRESETS = {"quick": Dream(stages=(STAGE,), batch=2, device="cpu", adversary=CRITIC)}
"""

CODE = """
import torch
from torch import nn
from advtasks.task import Judged, Metric, Splits, Task, Term, View

class Dreamer(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.layer = nn.Conv2d(3, width, 1)

    def forward(self, noise):
        return self.layer(noise)

class Colours(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, position):
        return {"real": torch.full((3, 8, 8), position.index / 4)}

class Dreaming(Task):
    term_names = frozenset({"l1"})
    metrics = (Metric("error", "error", False, "mean absolute error"),)

    def __init__(self, config):
        super().__init__(config)
        self.width = config.width

    def generator(self):
        return Dreamer(self.width)

    def splits(self, cache):
        return Splits(Colours(), [])

    def prepare(self, batch):
        return batch

    def generate(self, generator, batch):
        return generator(batch["real"])

    def objective(self, batch, output, weights):
        return {"l1": Term((output - batch["real"]).abs().mean(), weights["l1"])}

    def views(self):
        return {"image": View()}

    def judged(self, batch, output):
        return {"image": Judged(batch["real"], output)}

    def examples(self, folder, cache):
        raise NotImplementedError

    def evaluate(self, generator, example):
        raise NotImplementedError

    def manifest(self):
        return {"verb": "dream", "generator": "dreamer", "hyper_parameters": {"width": self.width}, "channels": 3,
                "scale": 1, "receptive_radius": 0, "multiple_of": 1}

class Far:
    def __init__(self, folder):
        pass

    def record(self, values):
        pass

    def rewind(self, step):
        pass

    def close(self):
        raise OSError("the service is gone")

def main(arguments):
    return 0
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with three installed distributions."""
    (tmp_path / "advtasks_dreaming.py").write_text(CODE)
    broken = "raise RuntimeError('needs a newer driver')\n"
    for name, code in (("margin", LOSS), ("dream", TASK), ("broken", broken)):
        (tmp_path / f"advtasks_{name}.py").write_text(code)
        info = tmp_path / f"advtasks_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: advtasks-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[advtasks]\n{name} = advtasks_{name}\n")
    return tmp_path


def run(site: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "advtasks.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_broken_plugin_is_reported_and_stops_nothing(site: Path) -> None:
    found = run(site, "plugins")
    assert found.returncode == 1
    assert "advtasks-broken:broken 1.0 is broken" in found.stdout
    assert "needs a newer driver" in found.stdout
    assert "margin" in found.stdout
    found = run(site, "--help")
    assert found.returncode == 0
    assert "needs a newer driver" in found.stdout
    assert run(site, "train", "sr", "--print-config").returncode == 0
    assert "advtasks-broken" not in run(site, "plugins", ADVTASKS_PLUGINS="sr").stdout


def test_a_loss_from_outside_trains_the_built_in_task(
    site: Path, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    loss = ("--adversary.loss", "margin:margin=0.5")
    found = run(
        site, "train", "sr", "--data", str(photos), "--out", str(tmp_path / "run"), "--steps", "4", *tiny, *loss
    )
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "run" / "bundle.safetensors").exists()
    found = run(site, "train", "sr", "--data", str(photos), "--adversary.loss", "margin:margn=0.5")
    assert found.returncode == 2
    assert "did you mean 'margin'" in found.stderr


def test_a_task_from_outside_trains_to_its_bundle(site: Path, tmp_path: Path) -> None:
    """One without validation, whose tracker fails when it is closed."""
    found = run(site, "train", "dream", "--out", str(tmp_path / "run"))
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "run" / "bundle.safetensors").exists()
    assert (tmp_path / "run" / "report.html").exists()
    assert "note: Far could not be closed: the service is gone" in found.stderr
    assert "try it   advtasks dream -o OUT" in found.stderr
    found = run(site, "runs", str(tmp_path))
    assert "finished" in found.stdout
