"""A refactoring that claims to change nothing shows the losses of before: ``golden.json`` holds them.

python tests/training/test_golden.py [NAME...]     writes the file anew, after a change that is meant to move numbers
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advtasks_pix2pix.presets import QUICK as PAIRS
from advtasks_pix2pix.task import Translation
from advtasks_sr.presets import QUICK
from advtasks_sr.task import SuperResolution
from advtasks_synthesis.points import Points
from advtasks_synthesis.presets import RING
from advtasks_text2image.data import CaptionedPictures, Loaded
from advtasks_text2image.presets import QUICK as TEXT
from advtasks_text2image.task import TextToImage
from torch.utils.data import Dataset

from advtasks.config import AdversaryConfig, RunConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.task import Batch, Splits, Task
from advtasks.trackers import JsonLines, read_records
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console

STORED = Path(__file__).with_name("golden.json")
STEADY = "adam:eps=0.001"
"""Without it whole steps are made of what is only rounding: the bias of a relativistic critic has no gradient."""
COMMON: dict[str, Any] = {"device": "cpu", "precision": "fp32", "log_every": 1, "checkpoint_every": 100,
                          "validate_every": 100, "seed": 3, "optimizer": STEADY}  # fmt: skip


class Bytes(Dataset[Batch]):
    """Random patches for super-resolution."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, position: Position) -> Batch:
        draws = torch.Generator().manual_seed(position.seed)
        return {
            "low": torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8, generator=draws),
            "high": torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8, generator=draws),
        }


class Pairs(Dataset[Batch]):
    """Random pictures and label maps; the input alone where it is not made of the target."""

    def __init__(self, made: bool, side: int = 16) -> None:
        self.made, self.side = made, side

    def __len__(self) -> int:
        return 6

    def __getitem__(self, position: Position) -> Batch:
        draws = torch.Generator().manual_seed(position.seed)
        target = torch.randint(0, 256, (self.side, self.side, 3), dtype=torch.uint8, generator=draws)
        labels = torch.randint(0, 3, (self.side, self.side), dtype=torch.uint8, generator=draws)
        return {"target": target} if self.made else {"input": labels, "target": target}


LABELS = '{"kind": "labels", "channels": 1, "classes": 3}'
MADE = {"make_input": "mask", "noise": 2, "input_pixels": '{"channels": 4}'}
"""Options of translation whose inputs are drawn on the device."""


def _translation() -> tuple[RunConfig, Task, Splits]:
    config = dataclasses.replace(
        PAIRS,
        generator="unet:levels=3:width=4",
        crop=16,
        scales=2,
        perceptual_network="efficientnet-lite0:levels=2",
        input_pixels=LABELS,
        target_pixels="{}",
        stages=tuple(
            dataclasses.replace(stage, steps=steps) for stage, steps in zip(PAIRS.stages, (5, 3), strict=True)
        ),
        adversary=dataclasses.replace(
            PAIRS.adversary,
            discriminator="patch:features=8:layers=1:norm=none",
            regularizers=("spectral-norm", "feature-matching"),
            optimizer=STEADY,
        ),
        **COMMON,
    )
    return config, Translation(config), Splits(Pairs(made=False), [])


def _super_resolution() -> tuple[RunConfig, Task, Splits]:
    stages = (
        StageConfig(name="pixel", steps=3, weights={"l1": 1.0}, learning_rate=1e-3, schedule="cosine"),
        StageConfig(
            name="adversarial", steps=5, weights={"l1": 1.0, "perceptual": 0.5}, adversary=True, learning_rate=5e-4
        ),
    )
    adversary = AdversaryConfig(
        discriminator="patch:features=8:layers=1:norm=none",
        loss="relativistic-average",
        weight=0.1,
        regularizers=("spectral-norm", "r1:interval=2"),
        augments=("diffaugment",),
        optimizer=STEADY,
    )
    config = dataclasses.replace(
        QUICK, generator="srresnet:features=8:blocks=2", batch=4, patch=16, stages=stages, adversary=adversary, **COMMON
    )
    return config, SuperResolution(config), Splits(Bytes(), [])


def _points() -> tuple[RunConfig, Task, Splits]:
    adversary = dataclasses.replace(
        RING.adversary,
        regularizers=("r1:gamma=0.02", "wgan-gp", "lecam:weight=0.1"),
        loss="non-saturating",
        steps_per_generator_step=2,
    )
    config = dataclasses.replace(RING, batch=32, adversary=adversary, steps=8, **COMMON)
    task = Points(config)
    return config, task, Splits(task.splits(PictureCache(Path(tempfile.mkdtemp()))).train, [])


def _mixture() -> tuple[RunConfig, Task, Splits]:
    """Pieces, clipping, a warm-up, weight decay, and several critics."""
    config, _, _ = _points()
    adversary = dataclasses.replace(
        RING.adversary, critics=2, clip_norm=0.05, regularizers=("zero-gp:weight=0.1",), optimizer="rmsprop:eps=0.001"
    )
    config = dataclasses.replace(
        config, adversary=adversary, accumulate=2, clip_norm=0.02, optimizer="adamw:weight_decay=0.1",
        ema_half_life=64.0,
        stages=tuple(dataclasses.replace(stage, schedule="cosine", warmup=3) for stage in config.stages),
    )  # fmt: skip
    task = Points(config)
    return config, task, Splits(task.splits(PictureCache(Path(tempfile.mkdtemp()))).train, [])


def captioned(task: TextToImage) -> Splits:
    """Noise pictures with captions, one of them twice."""
    draws = np.random.default_rng(0)
    captions = ["red apple", "green pear", "cat", "red apple", "dog", "old house", "sun", "moon", "star", "sea"]
    items = [
        Loaded(str(i), (caption,), functools.partial(np.asarray, draws.integers(0, 256, (16, 16, 3), dtype=np.uint8)))
        for i, caption in enumerate(captions)
    ]
    embeddings = [task.encoder.encode([caption]).sentences for caption in captions]
    words = [task.encoder.states([caption], 4) for caption in captions] if task.attends else None
    return Splits(CaptionedPictures(items, embeddings, flip=True, words=words), [])


def _text() -> tuple[RunConfig, Task, Splits]:
    config = dataclasses.replace(
        TEXT,
        generator="df:width=4:hidden=8:gain=1:joined=true",
        size=16,
        latent=6,
        encoder="hash:width=8",
        caption_dropout=0.3,
        adversary=dataclasses.replace(
            TEXT.adversary,
            discriminator="text:width=4:blocks=2",
            optimizer=STEADY,
            updates="simultaneous",
            regularizers=("matching-aware", "feature-matching:weight=5", "r1:gamma=0.1:interval=2"),
        ),
        stages=tuple(dataclasses.replace(stage, steps=5) for stage in TEXT.stages),
        **COMMON,
    )
    task = TextToImage(config)
    return config, task, captioned(task)


RUNS = {"sr": _super_resolution, "points": _points, "mixture": _mixture, "pix2pix": _translation, "text2image": _text}


def losses(name: str, folder: Path) -> list[dict[str, float]]:
    """The records of a short run, without times, and one of what its weights add up to at the end."""
    torch.use_deterministic_algorithms(True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # they decide in which order is summed
    try:
        config, task, splits = RUNS[name]()
        adversaries = make_adversaries(task, config)
        checkpoints = Checkpoints(folder / "checkpoints", 1)
        trainer = Trainer(task, config, splits, adversaries, checkpoints, [JsonLines(folder)], Console(io.StringIO()))
        trainer.train()
        state = trainer.state()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    kept = [record for record in read_records(folder / "metrics.jsonl") if record["kind"] == "train"]
    timing = ("seconds", "memory", "images_per_s")
    steps = [
        {key: value for key, value in record.items() if isinstance(value, float) and not key.startswith(timing)}
        for record in kept
    ]
    critics = {f"critic/{view}": adversary for view, adversary in state["adversaries"].items()}
    return [
        *steps,
        {
            name: size(part)
            for name, part in {"generator": state["generator"], "average": state["ema"], **critics}.items()
        },
    ]


def size(state: dict[str, Any]) -> float:
    """The sum of the absolute values of all weights."""
    return sum(
        value.double().abs().sum().item()
        for value in state.values()
        if torch.is_tensor(value) and value.is_floating_point()
    )


@pytest.mark.parametrize("name", sorted(RUNS))
def test_the_losses_are_those_of_before(name: str, tmp_path: Path) -> None:
    stored = json.loads(STORED.read_text())[name]
    found = losses(name, tmp_path)
    assert len(found) == len(stored)
    for step, (now, before) in enumerate(zip(found, stored, strict=True), 1):
        assert now.keys() >= before.keys()
        # processors sum in different orders: bits may differ, losses may not
        tolerance = 5e-4 if step < len(stored) else 2e-7
        for key, value in before.items():
            assert math.isclose(now[key], value, rel_tol=tolerance, abs_tol=1e-6), f"{step}: {key} {now[key]} {value}"


if __name__ == "__main__":
    known = json.loads(STORED.read_text())
    with tempfile.TemporaryDirectory() as place:
        known |= {name: losses(name, Path(place) / name) for name in sys.argv[1:] or sorted(RUNS)}
    STORED.write_text(json.dumps(known, indent=1) + "\n")
    sys.exit()
