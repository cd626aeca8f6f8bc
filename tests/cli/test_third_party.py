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


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with two installed distributions."""
    for name, code in (("margin", LOSS), ("broken", "raise RuntimeError('needs a newer driver')\n")):
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
