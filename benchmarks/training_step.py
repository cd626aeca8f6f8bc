"""The framework's training step against the same step written by hand, in one process.

    python benchmarks/training_step.py [--json benchmarks/results/training_step.json]

Two steps at the sizes of the SRGAN recipe: SRResNet 16 x 64, scale 4, 128-pixel patches, batch 4, L1 (pixel step); and
the same with a VGG-style critic and non-saturating loss (SRGAN step). The floors hold what the method needs and nothing
else: no loading, no logging, no moving average, no schedules. Both sides use bf16 autocast where the processor computes
it, channels-last and fused Adam. They take turns, round after round; the ratio of the medians counts, and rounds in
which other processes used the processor are thrown away.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from advtasks_sr.presets import SRGAN
from advtasks_sr.task import SuperResolution
from torch.nn.functional import l1_loss, softplus

from advtasks import VGGStyleDiscriminator
from advtasks.config import StageConfig
from advtasks.devices import choose_precision
from advtasks.task import Splits
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console

BATCH, LOW, SCALE = 4, 32, 4
CPU = torch.device("cpu")


def batch() -> dict[str, torch.Tensor]:
    """Bytes, as the loader gives them."""
    generator = torch.Generator().manual_seed(0)
    low = torch.randint(0, 256, (BATCH, LOW, LOW, 3), dtype=torch.uint8, generator=generator)
    high = torch.randint(0, 256, (BATCH, LOW * SCALE, LOW * SCALE, 3), dtype=torch.uint8, generator=generator)
    return {"low": low, "high": high}


def framework(adversarial: bool, precision: str) -> Callable[[], None]:
    """A step of the Trainer: its phases, checks, meters, schedules, seeds and moving average included."""
    stage = StageConfig(name="stage", steps=10_000, weights={"l1": 1.0}, adversary=adversarial, learning_rate=1e-4)
    config = dataclasses.replace(SRGAN, stages=(stage,), device="cpu", precision=precision, batch=BATCH)
    task = SuperResolution(config)
    splits = Splits(None, [])  # type: ignore[arg-type]
    adversaries = make_adversaries(task, config)
    trainer = Trainer(task, config, splits, adversaries, Checkpoints(Path("unused")), [], Console())
    trainer._begin_stage(stage)
    data = batch()

    def step() -> None:
        trainer._training_step(data, stage, trainer.step)
        trainer.step += 1

    return step


def floor(adversarial: bool, precision: str) -> Callable[[], None]:
    """The same step in plain PyTorch."""
    torch.manual_seed(0)
    generator = SuperResolution(SRGAN).generator().to(memory_format=torch.channels_last)
    critic = VGGStyleDiscriminator().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
    data = batch()

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        low, high = (data[name].permute(0, 3, 1, 2).float().div_(255) for name in ("low", "high"))
        with autocast():
            fake = generator(low)
        if adversarial:
            with autocast():
                loss = softplus(-critic(high).float()).mean() + softplus(critic(fake.detach()).float()).mean()
            critic_optimizer.zero_grad()
            loss.backward()
            critic_optimizer.step()
            critic.requires_grad_(False)
        with autocast():
            loss = l1_loss(fake, high)
            if adversarial:
                loss = loss + 5e-3 * softplus(-critic(fake).float()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if adversarial:
            critic.requires_grad_(True)

    return step


def others_share(before: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """The share of the processor that other processes used since `before`, and the new reading."""
    fields = [float(value) for value in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    ticks = os.sysconf("SC_CLK_TCK")
    busy = (sum(fields) - fields[3] - fields[4]) / ticks
    times = os.times()
    now = (busy - times.user - times.system, time.monotonic())
    share = (now[0] - before[0]) / max(now[1] - before[1], 1e-9) / (os.cpu_count() or 1)
    return share, now


def compare(name: str, sides: dict[str, Callable[[], None]], rounds: int, steps: int) -> dict[str, object]:
    """Median seconds a step of each side, and their ratio."""
    for step in sides.values():
        for _ in range(3):
            step()
    times: dict[str, list[float]] = {side: [] for side in sides}
    dropped = 0
    while len(times["floor"]) < rounds and dropped < 4 * rounds:
        _, reading = others_share((0.0, 0.0))
        taken = {}
        order = list(sides.items())
        for side, step in order if len(times["floor"]) % 2 else order[::-1]:
            start = time.perf_counter()
            for _ in range(steps):
                step()
            taken[side] = (time.perf_counter() - start) / steps
        share, _ = others_share(reading)
        if share > 0.04:
            dropped += 1
            continue
        for side, seconds in taken.items():
            times[side].append(seconds)
    medians = {side: statistics.median(values) for side, values in times.items()}
    paired = [a / b for a, b in zip(times["framework"], times["floor"], strict=True)]
    overhead = statistics.median(paired) - 1
    print(f"{name}: floor {medians['floor']:.3f} s, framework {medians['framework']:.3f} s, overhead {overhead:+.1%}")
    return {"step": name, "seconds": medians, "overhead": overhead, "rounds": times, "rounds_dropped": dropped}


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    precision = choose_precision("auto", CPU)
    results = []
    for name, adversarial in (("SRResNet pixel step", False), ("SRGAN step", True)):
        sides = {"floor": floor(adversarial, precision), "framework": framework(adversarial, precision)}
        results.append(compare(name, sides, options.rounds, options.steps))
    if options.json:
        record = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "precision": precision,
            "batch": BATCH,
            "results": results,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
