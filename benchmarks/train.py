"""Training steps: the framework against the same steps written by hand, and against a peer's published recipe.

    python benchmarks/train.py [--device cuda] [--json benchmarks/results/train_cpu.json]

*Overhead*: a step of the framework (phases, checks, meters, seeds, schedules, clock, moving average) against its floor
in ``floors.py`` at the same precision and layout. *Peer*: what a user runs, with loader, moving average and logging,
against BasicSR's recipe re-written from its description in ``peers.py`` (fp32, contiguous, its optimiser and loader
settings). *Plain*: the framework at its settings against the fp32, eager, contiguous floor.

Sides take turns; the ratio of each round counts, their median is reported, and rounds in which other processes used the
processor are thrown away. The whole takes about 10 minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import floors
import numpy as np
import peers
import torch
from advtasks_sr.patches import cut_patch
from advtasks_sr.presets import SRGAN
from advtasks_sr.task import SuperResolution
from elsewhere import Elsewhere, serve
from floors import Setting
from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks import Adversary, VGGStyleDiscriminator
from advtasks.allocator import keep_freed_memory
from advtasks.config import RunConfig, StageConfig
from advtasks.data.loader import Position, batches
from advtasks.devices import computes_bf16
from advtasks.mixture import AnyAdversary
from advtasks.task import Batch, Judged, Task, Terms
from advtasks.training.clock import Clock
from advtasks.training.meters import Meters
from advtasks.training.networks import Networks
from advtasks.training.step import Step

Run = Callable[[], None]
LAZY = 16
"""R1 every 16th step: that step is timed 16 at a time."""

PEER_STEPS = 16
"""Iterations a turn against a peer, since its loader's queue of four batches is full when its turn begins."""


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


def adversary(name: str) -> Adversary:
    """The critic of a step, as its floor has it."""
    critic, loss, regularizers, betas, rate = {
        "srgan": (VGGStyleDiscriminator(), "non-saturating", [], (0.9, 0.99), 1e-4),
        "dcgan": (floors.DCGANCritic("batch"), "non-saturating", [], (0.5, 0.999), 2e-4),
        "wgan_gp": (floors.DCGANCritic("none"), "wasserstein", ["wgan-gp"], (0.5, 0.999), 2e-4),
        "hinge_sn": (floors.DCGANCritic("spectral"), "hinge", [], (0.5, 0.999), 2e-4),
        "lazy_r1": (floors.DCGANCritic("none"), "non-saturating", [f"r1:gamma=10:interval={LAZY}"], (0.5, 0.999), 2e-4),
    }[name]
    weight = 5e-3 if name == "srgan" else 1.0
    return Adversary(critic, loss, regularizers=regularizers, weight=weight, learning_rate=rate, betas=betas)  # type: ignore[arg-type]


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


def framework(name: str, setting: Setting, compile: bool = False, loading: bool = False) -> Run:
    """A step of the trainer. `loading` feeds it from the loader and reads the meters every 20 steps, as a run does."""
    stage = StageConfig(name="stage", steps=10**6, weights={}, adversary=name != "srresnet", learning_rate=1e-4)
    common: dict[str, Any] = {
        "device": str(setting.device), "precision": setting.precision, "channels_last": setting.channels_last,
        "compile": compile, "monitor": "off",
    }  # fmt: skip
    if name.startswith("sr"):
        stage = dataclasses.replace(stage, weights={"l1": 1.0})
        config: RunConfig = dataclasses.replace(SRGAN, stages=(stage,), batch=floors.SR_BATCH, **common)
        task: Task = SuperResolution(config)
        size = floors.LOW * floors.SCALE
        data = {"low": setting.pixels(floors.LOW, floors.SR_BATCH), "high": setting.pixels(size, floors.SR_BATCH)}
    else:
        stage = dataclasses.replace(stage, learning_rate=2e-4)
        config = RunConfig(stages=(stage,), batch=floors.GAN_BATCH, betas=(0.5, 0.999), **common)
        task = Synthesis(config)
        data = {"real": setting.pixels(floors.SIDE, floors.GAN_BATCH)}
    adversaries: dict[str, AnyAdversary] = {"image": adversary(name)} if stage.adversary else {}
    meters, networks = Meters(), Networks(task, config, adversaries)
    step = Step(networks, config, stage, meters, Clock(setting.device))
    stream = batches(Patches(), batch=floors.SR_BATCH, seed=0, pin_memory=setting.device.type == "cuda")
    done = 0

    def run() -> None:
        nonlocal done
        step.run(next(stream) if loading else data, done, done)
        done += 1
        if loading and done % 20 == 0:
            meters.means()
            meters.clear()
            step.clock.take()

    return run


def others_share(before: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """The share of the processor that other processes used since `before`, and the new reading."""
    fields = [float(value) for value in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    busy = (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    now = (busy - own, time.monotonic())
    return (now[0] - before[0]) / max(now[1] - before[1], 1e-9) / (os.cpu_count() or 1), now


def wait_until_idle(limit: float = 20.0) -> None:
    """Let a side's loader processes fill their queues before the next side's turn, for at most `limit` seconds."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = others_share((0.0, 0.0))[1]
        time.sleep(0.2)
        if others_share(before)[0] < 0.1:
            return


def compare(sides: dict[str, Run], device: torch.device, rounds: int, steps: int, gate: float) -> dict[str, Any]:
    """Seconds a step of each side, round by round, taking turns."""

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    for run in sides.values():
        for _ in range(3):
            run()
    times: dict[str, list[float]] = {side: [] for side in sides}
    dropped = 0
    while (done := len(next(iter(times.values())))) < rounds and dropped < 2 * rounds:
        _, reading = others_share((0.0, 0.0))
        taken = {}
        for side, run in list(sides.items())[:: 1 if done % 2 else -1]:
            finish()
            wait_until_idle()
            start = time.perf_counter()
            for _ in range(steps):
                run()
            finish()
            taken[side] = (time.perf_counter() - start) / steps
        share, _ = others_share(reading)
        if share > gate:
            dropped += 1
            continue
        for side, seconds in taken.items():
            times[side].append(seconds)
    if not next(iter(times.values())):
        raise SystemExit("the machine is too busy: every round was thrown away; raise --gate or try later")
    return {
        "seconds": {side: statistics.median(values) for side, values in times.items()},
        "rounds": times,
        "dropped": dropped,
    }


def compare_elsewhere(name: str, rounds: int) -> dict[str, Any]:
    """Seconds a step of a peer's recipe and of ours as a run does it, each in a process of its own."""
    sides = {side: Elsewhere(__file__, side, name) for side in ("peer", "as run")}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, process in list(sides.items())[:: 1 if number % 2 else -1]:
            wait_until_idle()
            seconds = process.seconds(PEER_STEPS if number else 3)  # the first round warms up
            if number:
                times[side].append(seconds)
    peaks = {side: process.peak_mib() / 2**10 for side, process in sides.items()}
    for process in sides.values():
        process.close()
    return {
        "seconds": {side: statistics.median(values) for side, values in times.items()},
        "rounds": times,
        "peak_memory_gib": peaks,
    }


def ratio(found: dict[str, Any], above: str, below: str) -> float:
    """Median over rounds of the seconds of one side over those of another."""
    pairs = zip(found["rounds"][above], found["rounds"][below], strict=True)
    return statistics.median(a / b for a, b in pairs)


def peak_memory(side: str, name: str, device: torch.device) -> float | None:
    """GiB that three steps of a side take in a process of its own."""
    command = [sys.executable, __file__, "--memory", side, name, "--device", str(device)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(found.stdout) if found.returncode == 0 else None


def best_setting(device: torch.device) -> Setting:
    """bf16 where it is computed, channels-last: what --tune takes for these networks."""
    return Setting("bf16" if computes_bf16(device) else "fp32", True, device)


def make(side: str, name: str, device: torch.device) -> Run:
    """One side of one step."""
    setting, compiled = best_setting(device), device.type == "cuda"
    if side == "framework":
        return framework(name, setting)
    if side == "as run":
        return framework(name, setting, compile=compiled, loading=True)
    if side == "compiled":
        return framework(name, setting, compile=True)
    if side == "plain floor":
        setting = Setting("fp32", False, device)
    if side == "peer":
        return {"srresnet": peers.basicsr_srresnet, "srgan": peers.basicsr_srgan}[name](device)
    if name in ("wgan_gp", "lazy_r1") and side != "floor by hand":
        return {"wgan_gp": floors.wgan_gp, "lazy_r1": floors.lazy_r1}[name](setting, double_backward=True)
    return {
        f.__name__: f
        for f in (floors.srresnet, floors.srgan, floors.dcgan, floors.wgan_gp, floors.hinge_sn, floors.lazy_r1)
    }[name](setting)  # type: ignore[no-any-return, operator]


def measure(name: str, device: torch.device, rounds: int, gate: float) -> dict[str, Any]:
    """All sides of one step."""
    sides = ["floor", "framework"]
    sides += ["floor by hand"] if name in ("wgan_gp", "lazy_r1") else []
    sides += ["plain floor"] if device.type == "cuda" else []
    sides += ["compiled"] if device.type == "cuda" and name in ("srresnet", "srgan", "dcgan", "hinge_sn") else []
    steps = LAZY if name == "lazy_r1" else 3 if device.type == "cpu" else 20
    found = compare({side: make(side, name, device) for side in sides}, device, rounds, steps, gate)
    batch = floors.SR_BATCH if name.startswith("sr") else floors.GAN_BATCH
    work = floors.flops(make("floor", name, device), steps)
    setting = best_setting(device)
    ceiling = floors.convolution_ceiling(setting)
    seconds = found["seconds"]
    record = {
        "step": name, "batch": batch, "gflop": work, "ceiling_gflop_per_s": ceiling, **found,
        "overhead": ratio(found, "framework", "floor") - 1,
        "images_per_s": {side: batch / value for side, value in seconds.items()},
        "share_of_ceiling": {side: work / value / ceiling for side, value in seconds.items()},
        "peak_memory_gib": {side: peak_memory(side, name, device) for side in ("floor", "framework")},
    }  # fmt: skip
    text = f"{name}: floor {seconds['floor']:.4f} s, framework {seconds['framework']:.4f} s, "
    text += f"overhead {record['overhead']:+.1%}"
    if "plain floor" in seconds:
        fastest = min(("framework", *(["compiled"] if "compiled" in seconds else [])), key=lambda side: seconds[side])
        record["over_plain"] = ratio(found, "plain floor", fastest)
        text += f", {record['over_plain']:.2f} x the fp32 contiguous eager loop ({fastest})"
    if name in ("srresnet", "srgan") and device.type == "cpu":
        against = compare_elsewhere(name, max(3, rounds // 2))
        record["peer"] = {**against, "ratio": ratio(against, "peer", "as run")}
        text += f", {record['peer']['ratio']:.2f} x BasicSR's recipe (as run, with loader, average and logging)"
    print(text, flush=True)
    return record


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--gate", type=float, default=0.04, help="share of the processor that others may use in a round"
    )
    parser.add_argument("--only", nargs="*", default=["srresnet", "srgan", "dcgan", "wgan_gp", "hinge_sn", "lazy_r1"])
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=2, metavar=("SIDE", "STEP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    device: torch.device = options.device
    if not options.serve or options.serve[0] != "peer":
        keep_freed_memory()
    if options.serve:
        serve(make(*options.serve, device))
        return
    if options.memory:
        run = make(*options.memory, device)
        for _ in range(3):
            run()
        on_gpu = device.type == "cuda"
        print(
            torch.cuda.max_memory_allocated() / 2**30
            if on_gpu
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        )
        return
    results = [measure(name, device, options.rounds, options.gate) for name in options.only]
    if options.json:
        cores = f"{os.cpu_count()} cores, {platform.machine()}"
        record = {
            "machine": torch.cuda.get_device_name() if device.type == "cuda" else cores,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "setting": {"precision": best_setting(device).precision, "channels_last": True},
            "results": results,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
