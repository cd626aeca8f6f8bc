"""Fixtures: small pictures that tests make, and a cache of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from advtasks.bundle import Manifest
from advtasks.inference.engine import ImageModel

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # of the processes that tests start
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network when it is imported


def pytest_configure(config: pytest.Config) -> None:
    """On a machine with a GPU, too, tests compute on the processor, but for ``pytest -m gpu``."""
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow proofs run where they are asked for."""
    if "slow" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: python -m pytest -m slow"))


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture cache for the test alone, made when something is kept."""
    folder = tmp_path_factory.getbasetemp() / "caches" / str(next(_numbers))
    monkeypatch.setenv("ADVTASKS_CACHE", str(folder))
    return folder


def natural(width: int, height: int, seed: int) -> np.ndarray:
    """Smooth random colours with some sharp edges, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (max(height // 8, 2), max(width // 8, 2), 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).copy()
    for _ in range(6):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        smooth[top : top + height // 5, left : left + width // 5] = rng.integers(0, 256, 3)
    return smooth


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six small pictures, two of them in a sub-folder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        target = folder / ("more" if number > 3 else ".") / f"picture-{number}.png"
        Image.fromarray(natural(96 + 8 * number, 80, number)).save(target)
    return folder


@pytest.fixture
def advtasks(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process; gives exit code, stdout and stderr."""
    from advtasks.cli.main import main

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def identity() -> ImageModel:
    """A model that gives every picture back."""
    manifest = Manifest(
        task="sr", verb="upscale", plugin="advtasks", plugin_version="0", advtasks_version="0", generator="none",
        hyper_parameters={}, channels=3, scale=1, receptive_radius=0, multiple_of=1,
    )  # fmt: skip
    return ImageModel(torch.nn.Identity(), manifest)


TINY = (
    "--generator", "srresnet:features=8:blocks=1:tail=direct", "--patch", "8", "--batch", "2", "--device", "cpu",
    "--precision", "fp32", "--perceptual-network", "efficientnet-lite0:levels=2", "--stages.1.batch", "2",
    "--adversary.discriminator", "patch:features=8:layers=1:norm=none", "--log-every", "2", "--checkpoint-every", "2",
)  # fmt: skip
"""Flags that make a run of the sr task take seconds."""


@pytest.fixture
def tiny() -> tuple[str, ...]:
    """See :data:`TINY`."""
    return TINY
