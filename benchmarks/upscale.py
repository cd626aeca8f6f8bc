"""Upscaling: the engine against a plain forward pass and against the tile loop of Real-ESRGAN's script.

    python benchmarks/upscale.py [--json benchmarks/results/upscale_cpu.json] [--large]

One network (SRVGG 64 x 32, x4, random weights), one machine, uint8 picture in, uint8 picture out, sides taking turns,
each in a process of its own; medians. *Plain*: the whole picture through the network in fp32. *Peer*: Real-ESRGAN's
loop re-written from its description (fp32, contiguous, tiles of 256 with 10 pixels around each, cut hard). *Engine*:
fp32 and bf16, at its own choice of tiles, and at tiles of 256. Start-up is the whole command on a 1x1 picture against
``python -c "import torch"``. Batch is the command's body on a folder of JPEG files, against the network alone on the
same tensors. ``--large`` adds a result of 200 megapixels within 2 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from advtasks_sr.generators import Compact
from elsewhere import Elsewhere, serve
from PIL import Image

from advtasks.allocator import keep_freed_memory
from advtasks.bundle import Manifest, save_bundle
from advtasks.inference.batch import Settings, run
from advtasks.inference.engine import ImageModel
from advtasks.inference.jobs import plan
from advtasks.inference.runner import difference
from advtasks.inference.sizes import OutputSize

SCALE, SIDE, TILE, PAD = 4, 512, 256, 10
Array = np.ndarray
Run = Callable[[Array], Array]


def network() -> Compact:
    """SRVGGNetCompact as Real-ESRGAN's general model has it, with weights that give pictures."""
    torch.manual_seed(0)
    return Compact(SCALE, 64, 32).eval()


def manifest() -> Manifest:
    """Of that network."""
    return Manifest(
        task="sr", verb="upscale", plugin="advtasks", plugin_version="0", advtasks_version="0", generator="compact",
        hyper_parameters={"scale": SCALE, "features": 64, "convolutions": 32}, channels=3, scale=SCALE,
        receptive_radius=network().receptive_radius, multiple_of=1,
    )  # fmt: skip


def photograph(width: int, height: int) -> Array:
    """A picture with edges and texture."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)


def to_tensor(picture: Array) -> torch.Tensor:
    """(1, 3, H, W) float32."""
    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def to_array(output: torch.Tensor) -> Array:
    """(H, W, 3) uint8."""
    return (output[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)


def plain() -> Run:
    """The whole picture at once, as PyTorch runs a network that nobody tuned."""
    net = network()

    @torch.no_grad()
    def work(picture: Array) -> Array:
        return to_array(net(to_tensor(picture)))

    return work


def peer() -> Run:
    """Real-ESRGAN's script with ``-t 256``: the right and lower end reflected by 10, tiles with 10 more pixels to each
    side where there are some, the inner part copied."""
    net = network()

    @torch.no_grad()
    def work(picture: Array) -> Array:
        given = torch.nn.functional.pad(to_tensor(picture), (0, PAD, 0, PAD), "reflect")
        height, width = given.shape[-2:]
        output = torch.zeros(1, 3, height * SCALE, width * SCALE)
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                bottom, right = min(top + TILE, height), min(left + TILE, width)
                first, start = max(top - PAD, 0), max(left - PAD, 0)
                part = net(given[..., first : min(bottom + PAD, height), start : min(right + PAD, width)])
                y, x = (top - first) * SCALE, (left - start) * SCALE
                output[..., top * SCALE : bottom * SCALE, left * SCALE : right * SCALE] = part[
                    ..., y : y + (bottom - top) * SCALE, x : x + (right - left) * SCALE
                ]
        return to_array(output[..., : -PAD * SCALE, : -PAD * SCALE])

    return work


def engine(precision: str, tile: int | None = None) -> Run:
    """The project's."""
    model = ImageModel(network(), manifest(), tile=tile, precision=precision)
    return model.__call__


SIDES: dict[str, Callable[[], Run]] = {
    "plain": plain,
    "peer": peer,
    "engine fp32": lambda: engine("fp32"),
    "engine fp32, tiles of 256": lambda: engine("fp32", TILE),
    "engine bf16": lambda: engine("bf16"),
    "engine bf16, tiles of 256": lambda: engine("bf16", TILE),
}


def take_turns(rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each side, round by round, each in a process of its own; and their peaks in MiB."""
    sides = {name: Elsewhere(__file__, name) for name in SIDES}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, process in list(sides.items())[:: 1 if number % 2 else -1]:
            seconds = process.seconds(1)
            if number:  # the first round warms up
                times[name].append(seconds)
    peaks = {name: process.peak_mib() for name, process in sides.items()}
    for process in sides.values():
        process.close()
    return times, peaks


def in_own_process(*arguments: str) -> Any:
    """What this script prints as JSON in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def seconds_of(command: list[str], rounds: int = 5) -> float:
    """The median of a command's whole time."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def start_up() -> dict[str, float]:
    """The command on a picture of one pixel against importing torch."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        save_bundle(place / "bundle.safetensors", network(), manifest())
        Image.new("RGB", (1, 1)).save(place / "a.png")
        command = [
            sys.executable,
            "-m",
            "advtasks.cli.main",
            "upscale",
            str(place / "a.png"),
            "-o",
            folder,
            "--overwrite",
        ]
        return {
            "import torch": seconds_of([sys.executable, "-c", "import torch"]),
            "upscale": seconds_of([*command, "-m", str(place / "bundle.safetensors")]),
        }


def batch(pictures: int = 24, side: int = 192) -> dict[str, float]:
    """A folder of JPEG files through the whole pipeline, against the network alone."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        array = photograph(side, side)
        (place / "in").mkdir()
        for number in range(pictures):
            Image.fromarray(np.roll(array, number, 1)).save(place / "in" / f"{number}.jpg", quality=92)
        model = ImageModel(network(), manifest(), precision="bf16")
        model(array)
        given = to_tensor(array)
        alone, whole = [], []
        for number in range(4):
            start = time.perf_counter()
            for _ in range(pictures):
                model.runner(given)
            alone.append(time.perf_counter() - start)
            jobs = plan([place / "in"], place / f"out{number}", "x4")
            start = time.perf_counter()
            run(jobs, model, Settings(size=OutputSize(SCALE)))
            whole.append(time.perf_counter() - start)
        ratios = [b / a for a, b in zip(alone[1:], whole[1:], strict=True)]
        return {
            "network alone": statistics.median(alone[1:]),
            "pipeline": statistics.median(whole[1:]),
            "ratio": statistics.median(ratios),
        }


def large() -> dict[str, float]:
    """A result of 200 megapixels (PNG) with ``--max-memory 2GiB``."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        save_bundle(place / "bundle.safetensors", network(), manifest())
        Image.fromarray(photograph(4096, 3072)).save(place / "a.png")
        start = time.perf_counter()
        command = [sys.executable, "-m", "advtasks.cli.main", "upscale", str(place / "a.png"), "-o", folder]
        subprocess.run([*command, "-m", str(place / "bundle.safetensors"), "--max-memory", "2GiB"], check=True)
        Image.MAX_IMAGE_PIXELS = None
        with Image.open(place / "a_x4.png") as image:
            megapixels = image.width * image.height / 1e6
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        return {"megapixels": megapixels, "peak_gib": used, "seconds": time.perf_counter() - start}


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--only-large", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        if options.serve.startswith("engine"):
            keep_freed_memory()  # as the command does
        work, picture = SIDES[options.serve](), photograph(SIDE, SIDE)
        serve(lambda: work(picture))
        return
    if options.only_large:
        print(json.dumps(large()))
        return
    picture, megapixels = photograph(SIDE, SIDE), (SIDE * SCALE) ** 2 / 1e6
    times, peaks = take_turns(options.rounds)
    outputs = {name: make()(picture) for name, make in SIDES.items()}
    wanted = to_tensor(outputs["plain"])
    results: dict[str, Any] = {}
    for name in SIDES:
        against = difference(to_tensor(outputs[name]), wanted)
        over = {other: statistics.median(b / a for a, b in zip(times[name], times[other], strict=True))
                for other in ("plain", "peer")}  # fmt: skip
        results[name] = {
            "seconds_per_megapixel": statistics.median(times[name]) / megapixels,
            "times_plain": over["plain"],
            "times_peer": over["peer"],
            "peak_mib": peaks[name],
            "psnr_to_plain": against.psnr if np.isfinite(against.psnr) else None,
            "share_off_by_more_than_a_level": against.off,
        }
        print(
            f"{name:<28}{results[name]['seconds_per_megapixel']:.3f} s/MP  {over['plain']:.2f} x plain  "
            f"{over['peer']:.2f} x peer  {results[name]['peak_mib']:.0f} MiB  PSNR to plain {against.psnr:.1f} dB, "
            f"{against.off:.3%} of values off by more than a level",
            flush=True,
        )
    found: dict[str, Any] = {"sides": results, "start_up": start_up(), "batch": batch()}
    print("start-up", found["start_up"], "\nbatch", found["batch"], flush=True)
    if options.large:
        found["large"] = in_own_process("--only-large")
        print("large", found["large"])
    if options.json:
        record = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}", "torch": torch.__version__,
            "threads": torch.get_num_threads(), "picture": f"{SIDE}x{SIDE} to {SIDE * SCALE}x{SIDE * SCALE}", **found,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
