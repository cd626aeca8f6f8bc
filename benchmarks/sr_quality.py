"""What each adversarial recipe is worth at equal, small budget: bicubic, the pixel stage, and several adversaries.

    python benchmarks/sr_quality.py --data DIR [--json benchmarks/results/sr_quality.json] [--seeds 2]

Protocol: x4, MATLAB-exact bicubic low resolution; pictures of DIR, of which a tenth is held out by content; PSNR and
SSIM on Y of BT.601 with 4 pixels cropped; perceptual distances by two frozen ImageNet networks: the one that all
recipes train against (EfficientNet-Lite0, flattering) and one that none does (Lite2). One pixel stage (``sr:quick``:
0.35 M parameters, 2,200 steps) is shared; each recipe then trains 200 steps from its weights, batch, pictures, learning
rates and term weights the same. With ``--seeds`` each recipe is repeated, and the spread printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from advtasks_sr.data import load_folder
from advtasks_sr.lows import make_low_side
from advtasks_sr.presets import QUICK
from tables import spread

from advtasks.atomic import write_text
from advtasks.bundle import load_bundle
from advtasks.config_files import to_plain, to_yaml
from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures, fingerprint, hold_out
from advtasks.data.resize import bicubic_upscale
from advtasks.features.distance import unit_distance
from advtasks.features.efficientnet_lite import EfficientNetLite

RECIPES: dict[str, tuple[str, ...]] = {
    "perceptual loss, no adversary": ("--adversary.kind", "none"),
    "non-saturating, spectral norm (default)": (),
    "hinge, spectral norm": ("--adversary.loss", "hinge"),
    "least squares, spectral norm": ("--adversary.loss", "least-squares"),
    "relativistic average, spectral norm": ("--adversary.loss", "relativistic-average"),
    "non-saturating, R1": ("--adversary.regularizers", "r1:gamma=1"),
    "U-Net critic, spectral norm": ("--adversary.discriminator", "unet:width=16"),
    "projected critic, hinge": ("--adversary.discriminator", "projected", "--adversary.loss", "hinge"),
    "wavelet critic, spectral norm": ("--adversary.discriminator", "wavelet"),
}
NAMES = {"psnr_y": "PSNR-Y", "ssim_y": "SSIM-Y", "distance_efficientnet_lite2": "Lite2", "lite0": "Lite0"}


def split(data: Path, folder: Path) -> tuple[Path, Path]:
    """Links to the pictures: to train on, and a tenth of them, by content, to measure on."""
    pictures = find_pictures(data).pictures
    prints = {path: fingerprint(path) for path in pictures}
    kept = hold_out(list(prints.values()), share=0.1)
    for path, content in prints.items():
        target = folder / ("held-out" if content in kept else "train") / f"{content[:12]}{path.suffix}"
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(path.absolute())
    return folder / "train", folder / "held-out"


def only_stage(folder: Path, number: int) -> Path:
    """A configuration file with one of the preset's stages."""
    path = folder / f"stage{number}.yaml"
    path.write_text(to_yaml({"task": "sr", "stages": [to_plain(QUICK)["stages"][number]]}))
    return path


def train(data: tuple[Path, Path], out: Path, *flags: object) -> dict[str, Any]:
    """A run of the command; gives its results.json, and its seconds."""
    start = time.monotonic()
    command = [sys.executable, "-m", "advtasks.cli.main", "train", "sr", "--data", str(data[0])]
    command += ["--validation", str(data[1]), "--out", str(out), *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return {**found, "seconds": time.monotonic() - start}


class Lite0:
    """The distance on the network that recipes train against, over the held-out pictures."""

    def __init__(self, held_out: Path, cache: PictureCache) -> None:
        self.features = EfficientNetLite(0)
        self.pairs, _ = load_folder(held_out, make_low_side(QUICK), cache)

    @torch.inference_mode()
    def __call__(self, bundle: Path | None) -> float:
        """Of a bundle's network, or of bicubic interpolation."""
        network = None if bundle is None else load_bundle(bundle)[0]
        values = []
        for pair in self.pairs:
            low, high = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 255 for p in (pair.low, pair.high))
            output = bicubic_upscale(low, 4) if network is None else network(low)
            output = (output.clamp(0, 1) * 255).round() / 255
            values.append(unit_distance(self.features(output), self.features(high)).item())
        return statistics.mean(values)


def main() -> None:
    """Train all recipes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs=2, default=(2200, 200), help="of the pixel stage and of each recipe")
    parser.add_argument("--only", nargs="*", help="names of recipes")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}

    def note(name: str, metrics: dict[str, float], lite0: float, seconds: float) -> None:
        row = {**{NAMES[key]: value for key, value in metrics.items()}, NAMES["lite0"]: lite0, "seconds": seconds}
        rows.setdefault(name, []).append(row)
        print(f"{name:<42}" + "  ".join(f"{key} {value:.4f}" for key, value in row.items()), flush=True)
        if options.json:
            write_text(options.json, json.dumps(recorded | {"recipes": rows}, indent=2) + "\n")

    recorded: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}", "torch": torch.__version__,
        "steps": options.steps, "seeds": options.seeds,
        "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split()),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = split(options.data, folder)
        recorded["pictures"] = {path.name: len(list(path.iterdir())) for path in data}
        lite0 = Lite0(data[1], PictureCache(folder / "cache"))
        pixel = folder / "pixel"
        stage = ("--config", only_stage(folder, 0), "--steps", options.steps[0])
        found = train(data, pixel, *stage, "--adversary.kind", "none")
        note("bicubic", found["baseline"]["metrics"], lite0(None), 0.0)
        note("pixel stage", found["stages"][-1]["metrics"], lite0(pixel / "bundle.safetensors"), found["seconds"])
        stage = ("--config", only_stage(folder, 1), "--steps", options.steps[1], "--initial-weights", pixel)
        for name, flags in RECIPES.items():
            if options.only and name not in options.only:
                continue
            for seed in range(options.seeds):
                out = folder / f"run-{len(rows)}-{seed}"
                try:
                    found = train(data, out, *stage, "--seed", seed, *flags)
                except RuntimeError as error:  # the others' hours must not be lost
                    print(f"{name} failed: {error}", flush=True)
                    continue
                metrics = found["stages"][-1]["metrics"]
                note(name, metrics, lite0(out / "bundle.safetensors"), found["seconds"])
    print("\n| recipe | " + " | ".join(NAMES.values()) + " |\n|" + " --- |" * (len(NAMES) + 1))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(spread([row[key] for row in values]) for key in NAMES.values()) + " |")


if __name__ == "__main__":
    main()
