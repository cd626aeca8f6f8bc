"""Training steps: the framework against the same steps written by hand, and against a peer's published recipe.

    python benchmarks/train.py [--device cuda] [--json benchmarks/results/train_cpu.json]

*Overhead*: a step of the framework (phases, checks, meters, seeds, schedules, clock, moving average) against its floor
in ``floors.py`` at the same precision and layout. The moving average follows once in many steps past its ramp: what
that takes is timed apart and its share of a step added. *Peer*: what a user runs, with loader, moving average and
logging, against BasicSR's and pytorch-CycleGAN-and-pix2pix's recipes re-written from their descriptions in ``peers.py``
and ``pix2pix_peer.py`` (fp32, contiguous, their optimiser and loader settings). *Plain*: the framework at its settings
against the fp32, eager, contiguous floor. *Simultaneous*: SRGAN's step with one pass of the critic for both phases:
8.6 % less work, and the order of BasicSR's own loop. The framework's step leaves the monitor out, as the floors have
none; *as run* has it at its default.

Sides take turns (``turns.py``) until the median of the rounds' ratios is known to one per cent either way or the rounds
are used up; the interval is recorded, and rounds in which other processes used the processor are thrown away. The file
is written after each step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import floors
import peers
import pix2pix_peer
import torch
from elsewhere import Elsewhere, serve
from floors import Setting
from machine import machine
from sides import LAZY, Framework, Run, framework
from turns import compare, interval, ratio, ratios, wait_until_idle

from advtasks.adversary import Updates
from advtasks.allocator import keep_freed_memory
from advtasks.devices import computes_bf16
from advtasks.training.clock import peak_memory as most_memory

PEERS = {
    "srresnet": ("BasicSR", peers.basicsr_srresnet),
    "srgan": ("BasicSR", peers.basicsr_srgan),
    "pix2pix": ("pytorch-CycleGAN-and-pix2pix", pix2pix_peer.pix2pix),
}
PEER_STEPS = 16
"""Iterations a turn against a peer, since its loader's queue of four batches is full when its turn begins."""


def compare_elsewhere(name: str, rounds: int) -> dict[str, Any]:
    """Seconds a step of a peer's recipe and of ours as a run does it, each in a process of its own."""
    own = ("as run", "as run simultaneously") if name == "srgan" else ("as run",)
    sides = {side: Elsewhere(__file__, side, name) for side in ("peer", *own)}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, process in list(sides.items())[:: 1 if number % 2 else -1]:
            wait_until_idle(torch.device("cpu"))
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


def peak_memory(side: str, name: str, device: torch.device) -> float | None:
    """GiB that three steps of a side take in a process of its own."""
    command = [sys.executable, __file__, "--memory", side, name, "--device", str(device)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(found.stdout) if found.returncode == 0 else None


def best_setting(device: torch.device, name: str) -> Setting:
    """bf16 where it is computed, and channels-last with it but for the U-Net; contiguous fp32 on a processor without:
    what --tune takes for these networks."""
    bf16 = computes_bf16(device)
    return Setting("bf16" if bf16 else "fp32", (bf16 or device.type == "cuda") and name != "pix2pix", device)


def as_torch_begins(run: Run) -> Run:
    """With the TF32 convolutions of torch's defaults, which the trainer turns off for the process."""

    def stepped() -> None:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
            run()

    return stepped


def make(side: str, name: str, device: torch.device, setting: Setting | None = None) -> Run:
    """One side of one step."""
    setting, compiled = setting or best_setting(device, name), device.type == "cuda"
    if side == "framework":
        return framework(name, setting)
    if side.startswith("as run"):
        updates: Updates = "simultaneous" if side.endswith("simultaneously") else "alternating"
        return framework(name, setting, compile=compiled, loading=True, updates=updates)
    if side == "simultaneous":
        return framework(name, setting, updates="simultaneous")
    if side == "compiled":
        return framework(name, setting, compile=True)
    if side == "plain floor":
        return as_torch_begins(make("floor", name, device, Setting("fp32", False, device)))
    if side == "peer":
        return PEERS[name][1](device)
    if name in ("wgan_gp", "lazy_r1") and side != "floor by hand":
        return {"wgan_gp": floors.wgan_gp, "lazy_r1": floors.lazy_r1}[name](setting, double_backward=True)
    return {
        f.__name__: f
        for f in (
            floors.srresnet,
            floors.srgan,
            floors.pix2pix,
            floors.dcgan,
            floors.wgan_gp,
            floors.hinge_sn,
            floors.lazy_r1,
        )
    }[name](setting)  # type: ignore[no-any-return, operator]


def measure(name: str, device: torch.device, rounds: int, gate: float) -> dict[str, Any]:
    """All sides of one step."""
    sides = ["floor", "framework"]
    sides += ["floor by hand"] if name in ("wgan_gp", "lazy_r1") else []
    sides += ["simultaneous"] if name == "srgan" else []
    sides += ["plain floor"] if device.type == "cuda" else []
    sides += ["compiled"] if device.type == "cuda" and name in ("srresnet", "srgan", "dcgan", "hinge_sn") else []
    steps = LAZY if name == "lazy_r1" else 1 if device.type == "cpu" else 20
    runs = {side: make(side, name, device) for side in sides}
    found = compare(
        {side: runs[side] for side in ("framework", "floor", *sides[2:])}, device, steps, rounds=rounds, gate=gate
    )
    ours = runs["framework"]
    assert isinstance(ours, Framework)
    average = {"seconds": ours.follow(), "steps_between": ours.steps_between}
    batch = floors.batch_of(name)
    work = floors.flops(make("floor", name, device), steps)
    setting = best_setting(device, name)
    ceiling = floors.convolution_ceiling(setting)
    seconds = found["seconds"]
    share = average["seconds"] / average["steps_between"] / seconds["floor"]
    record = {
        "step": name, "batch": batch, "precision": setting.precision, "channels_last": setting.channels_last,
        "gflop": work, "ceiling_gflop_per_s": ceiling, **found,
        "moving_average": average,
        "overhead": ratio(found, "framework", "floor") - 1 + share,
        "overhead_interval": [end - 1 + share for end in interval(ratios(found["rounds"], "framework", "floor"))],
        "images_per_s": {side: batch / value for side, value in seconds.items()},
        "share_of_ceiling": {side: work / value / ceiling for side, value in seconds.items()},
        "peak_memory_gib": {side: peak_memory(side, name, device) for side in ("floor", "framework")},
    }  # fmt: skip
    text = f"{name}: floor {seconds['floor']:.4f} s, framework {seconds['framework']:.4f} s, "
    low, high = record["overhead_interval"]
    text += f"overhead {record['overhead']:+.1%} ({low:+.1%} to {high:+.1%})"
    if "simultaneous" in seconds:
        record["simultaneous"] = ratio(found, "framework", "simultaneous")
        record["gflop_simultaneous"] = floors.flops(make("simultaneous", name, device), steps)
        record["gflop_framework"] = floors.flops(make("framework", name, device), steps)
        text += f", simultaneous updates {record['simultaneous']:.2f} x as fast"
    if "plain floor" in seconds:
        fastest = min(("framework", *(["compiled"] if "compiled" in seconds else [])), key=lambda side: seconds[side])
        record["over_plain"] = ratio(found, "plain floor", fastest)
        text += f", {record['over_plain']:.2f} x the fp32 contiguous eager loop ({fastest})"
    if name in PEERS and device.type == "cpu":
        against = compare_elsewhere(name, 3)
        record["peer"] = {**against, "ratio": ratio(against, "peer", "as run")}
        text += f", {record['peer']['ratio']:.2f} x {PEERS[name][0]}'s recipe (as run, with loader, average and logging"
        if "as run simultaneously" in against["seconds"]:
            record["peer"]["ratio_simultaneous"] = ratio(against, "peer", "as run simultaneously")
            text += f"; {record['peer']['ratio_simultaneous']:.2f} x with simultaneous updates, which are its order"
        text += ")"
    print(text, flush=True)
    return record


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--rounds", type=int, default=40, help="at most, of each step")
    parser.add_argument(
        "--gate", type=float, default=0.04, help="share of the processor that others may use in a round"
    )
    parser.add_argument(
        "--only", nargs="*", default=["srresnet", "srgan", "pix2pix", "dcgan", "wgan_gp", "hinge_sn", "lazy_r1"]
    )
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
        print(most_memory(device))
        return
    record: dict[str, Any] = {
        "machine": machine(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "results": [],
    }  # fmt: skip
    for name in options.only:
        record["results"].append(measure(name, device, options.rounds, options.gate))
        if options.json:  # what is measured is kept, whatever comes
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
