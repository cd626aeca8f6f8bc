"""The framework's side of the steps in ``train.py``: tasks, critics and pictures as the trainer is given them."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import floors
import numpy as np
import torch
from advtasks_pix2pix.crops import Crops, Loaded
from advtasks_pix2pix.presets import PAPER
from advtasks_pix2pix.task import Translation
from advtasks_sr.patches import cut_patch
from advtasks_sr.presets import SRGAN
from advtasks_sr.task import SuperResolution
from floors import Setting
from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks import Adversary, PatchDiscriminator, VGGStyleDiscriminator
from advtasks.adversary import Updates
from advtasks.config import RunConfig, StageConfig
from advtasks.data.loader import Position, batches
from advtasks.devices import wait_for
from advtasks.mixture import AnyAdversary
from advtasks.task import Batch, Judged, Task, Terms
from advtasks.training.clock import Clock
from advtasks.training.ema import GRAIN, MovingAverage
from advtasks.training.guard import Guard
from advtasks.training.meters import Meters
from advtasks.training.networks import Networks
from advtasks.training.progress import Console, silent
from advtasks.training.recorder import Recorder
from advtasks.training.step import Step

Run = Callable[[], None]


@dataclasses.dataclass
class Framework:
    """A step of the trainer, and its moving average apart, which follows now and then."""

    run: Run
    networks: Networks
    batch: int

    def __call__(self) -> None:
        self.run()

    def follow(self) -> float:
        """Seconds in which the moving average follows once."""
        average = MovingAverage(self.networks.generator, 1.0)
        times = []
        for _ in range(7):
            wait_for(self.networks.device)
            start = time.perf_counter()
            average.update(self.networks.generator, 1)
            wait_for(self.networks.device)
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    @property
    def steps_between(self) -> int:
        """Steps from once to the next, past the average's ramp."""
        return max(math.ceil(GRAIN * self.networks.ema.half_life / self.batch), 1)


LAZY = 16
"""R1 every 16th step: that step is timed 16 at a time."""


class Synthesis(Task):
    """Noise to pictures in [-1, 1], for the DCGAN steps."""

    shares_fake: ClassVar[bool] = True

    def generator(self) -> nn.Module:
        return floors.DCGANGenerator()

    def splits(self, cache: Any) -> Any:
        raise NotImplementedError

    def examples(self, folder: Path, cache: Any) -> Any:
        raise NotImplementedError

    def prepare(self, batch: Batch) -> Batch:
        real = batch["real"]
        noise = torch.randn(len(real), floors.LATENT, 1, 1, device=real.device)
        return {"real": real.permute(0, 3, 1, 2).float().div_(127.5).sub_(1), "noise": noise}

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        output: Tensor = generator(batch["noise"])
        return output.float()

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        return {}

    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        return {"image": Judged(batch["real"], output)}

    def evaluate(self, generator: nn.Module | None, example: Any) -> Any:
        raise NotImplementedError

    def manifest(self) -> dict[str, Any]:
        return {}


def adversary(name: str, updates: Updates, compile: bool) -> Adversary:
    """The critic of a step, as its floor has it."""
    if name == "pix2pix":
        made = PatchDiscriminator(6, norm="batch")
        return Adversary(
            made, "non-saturating", learning_rate=2e-4, betas=(0.5, 0.999), updates=updates, compile=compile
        )
    critic, loss, regularizers, betas, rate = {
        "srgan": (VGGStyleDiscriminator(), "non-saturating", [], (0.9, 0.99), 1e-4),
        "dcgan": (floors.DCGANCritic("batch"), "non-saturating", [], (0.5, 0.999), 2e-4),
        "wgan_gp": (floors.DCGANCritic("none"), "wasserstein", ["wgan-gp"], (0.5, 0.999), 2e-4),
        "hinge_sn": (floors.DCGANCritic("spectral"), "hinge", [], (0.5, 0.999), 2e-4),
        "lazy_r1": (floors.DCGANCritic("none"), "non-saturating", [f"r1:gamma=10:interval={LAZY}"], (0.5, 0.999), 2e-4),
    }[name]
    weight = 5e-3 if name == "srgan" else 1.0
    return Adversary(
        critic,  # type: ignore[arg-type]
        loss,  # type: ignore[arg-type]
        regularizers=regularizers,  # type: ignore[arg-type]
        weight=weight,
        learning_rate=rate,  # type: ignore[arg-type]
        betas=betas,  # type: ignore[arg-type]
        updates=updates,
        compile=compile,
    )


class Patches(Dataset[Batch]):
    """Random crops out of decoded pictures in memory, as the cache holds them."""

    def __init__(self) -> None:
        draws = np.random.default_rng(0)
        self.high = draws.integers(0, 256, (16, 480, 480, 3), dtype=np.uint8)
        self.low = draws.integers(0, 256, (16, 120, 120, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, position: Position) -> Batch:
        draws = np.random.default_rng(position.seed)
        return cut_patch(self.high[position.index], self.low[position.index], floors.LOW, floors.SCALE, 0.0, draws)


def pairs() -> Crops:
    """Crops of 256 pixels out of decoded pairs in memory, as the cache holds them: their shorter side is 286."""
    draws = np.random.default_rng(0)
    held = [draws.integers(0, 256, (2, 286, 286, 3), dtype=np.uint8) for _ in range(16)]
    return Crops(held, lambda both: Loaded("", "", both[0], both[1]), floors.PAIR_SIDE, flip=True)


def framework(
    name: str, setting: Setting, compile: bool = False, loading: bool = False, updates: Updates = "alternating"
) -> Framework:
    """A step of the trainer. `loading` feeds it from the loader, and watches it and reads its meters at the preset's
    interval (20 steps where there is none), as a run does."""
    stage = StageConfig(name="stage", steps=10**6, weights={}, adversary=name != "srresnet", learning_rate=1e-4)
    common: dict[str, Any] = {
        "device": str(setting.device), "precision": setting.precision, "channels_last": setting.channels_last,
        "compile": compile, "monitor": "warn" if loading else "off",
    }  # fmt: skip
    if name.startswith("sr"):
        stage = dataclasses.replace(stage, weights={"l1": 1.0})
        config: RunConfig = dataclasses.replace(SRGAN, stages=(stage,), batch=floors.SR_BATCH, **common)
        task: Task = SuperResolution(config)
        size = floors.LOW * floors.SCALE
        data = {"low": setting.pixels(floors.LOW, floors.SR_BATCH), "high": setting.pixels(size, floors.SR_BATCH)}
    elif name == "pix2pix":
        stage = dataclasses.replace(stage, weights={"l1": 100.0}, learning_rate=2e-4)
        given = {"input_pixels": "{}", "target_pixels": "{}", "ema_half_life": 5000.0, "batch": floors.PAIR_BATCH}
        config = dataclasses.replace(PAPER, stages=(stage,), **given, **common)
        task = Translation(config)
        data = {side: setting.pixels(floors.PAIR_SIDE, floors.PAIR_BATCH) for side in ("input", "target")}
    else:
        stage = dataclasses.replace(stage, learning_rate=2e-4)
        config = RunConfig(stages=(stage,), batch=floors.GAN_BATCH, betas=(0.5, 0.999), **common)
        task = Synthesis(config)
        data = {"real": setting.pixels(floors.SIDE, floors.GAN_BATCH)}
    config = dataclasses.replace(config, adversary=dataclasses.replace(config.adversary, updates=updates))
    adversaries: dict[str, AnyAdversary] = {"image": adversary(name, updates, compile)} if stage.adversary else {}
    meters, networks = Meters(), Networks(task, config, adversaries)
    guard = Guard(config, Recorder([], Console(silent())))
    step = Step(networks, config, stage, meters, Clock(setting.device), guard)
    networks.ema.images = 10**6  # past its ramp, where most of a run is
    crops: Dataset[Batch] = pairs() if name == "pix2pix" else Patches()
    stream = batches(crops, batch=floors.batch_of(name), seed=0, pin_memory=setting.device.type == "cuda")
    done = 0

    def run() -> None:
        nonlocal done
        step.run(next(stream) if loading else data, done, done)
        done += 1
        if loading and done % config.log_every == 0:
            guard.look(done, stage, meters.means())
            meters.clear()
            step.clock.take()

    return Framework(run, networks, floors.batch_of(name))
