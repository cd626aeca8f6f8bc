"""What the recipes of translation are worth at equal images seen: L1 alone, the paper's, and ours.

    python benchmarks/pix2pix_quality.py --data DIR [--images 6000] [--seeds 2] [--json benchmarks/results/FILE.json]

What is recorded in FILE.json already is not trained again, so a run that was stopped goes on.

Protocol: the pairs of DIR with its own validation split, the input is side A. All recipes train a U-Net of six levels
and the same width on the same number of pictures seen. Measured on the whole validation pictures, from 8-bit values:
L1 in levels, PSNR and SSIM of RGB, perceptual distances by two frozen ImageNet networks (EfficientNet-Lite0, which our
recipe trains against: flattering; Lite2, which none does), and KID on the pooled last features of Lite2. Where inputs
are label maps, the label score besides: a segmenter, trained by this script on the real photographs of the training
split, reads the outputs; pixel accuracy, class accuracy and mean IoU over all pixels but those of unlabelled classes
(``--ignore``), beside its score on the real validation photographs, which is the ceiling.
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
from pathlib import Path
from typing import Any

import torch
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.data import find_sides, load_folder
from advtasks_pix2pix.pixels import to_network
from advtasks_pix2pix.presets import BALANCED
from tables import spread
from torch import Tensor

from advtasks.atomic import write_text
from advtasks.bundle import load_bundle
from advtasks.config_files import to_plain, to_yaml
from advtasks.data.cache import PictureCache
from advtasks.evaluation.kid import kernel_distance
from advtasks.evaluation.labels import class_accuracy, mean_iou, pixel_accuracy
from advtasks.evaluation.perceptual_distance import PerceptualDistance
from advtasks.evaluation.psnr_ssim import psnr_rgb, ssim_rgb
from advtasks.features.efficientnet_lite import EfficientNetLite
from advtasks.inference.tiling import run_tiled

RECIPES: dict[str, tuple[str, ...]] = {
    "L1 alone, the paper's network": (
        "paper", "--batch", "1", "--adversary.kind", "none",
        "--generator", "unet:levels=6:width={width}:norm=batch:upsample=transposed:dropout=0.5:test_time=paper",
    ),
    "pix2pix paper": (
        "paper", "--batch", "1",
        "--generator", "unet:levels=6:width={width}:norm=batch:upsample=transposed:dropout=0.5:test_time=paper",
    ),
    "ours (balanced)": ("balanced", "--batch", "4", "--generator", "unet:levels=6:width={width}",
                        "--ema-half-life", "500"),
}  # fmt: skip
CEILING = "real photographs (ceiling)"
SCORES = ("pixel accuracy", "class accuracy", "IoU")


def train(data: Path, out: Path, *flags: object, preset: str) -> None:
    """A run of the command."""
    command = [sys.executable, "-m", "advtasks.cli.main", "train", f"pix2pix:{preset}", "--data", str(data)]
    command += ["--out", str(out), "--validate-every", "1000000", "--checkpoint-every", "1000000", *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")


def train_segmenter(data: Path, folder: Path, crop: int, images: int) -> Path:
    """Photographs to label maps with cross entropy alone."""
    stages = [{**to_plain(BALANCED)["stages"][0], "weights": {"cross-entropy": 1.0}, "learning_rate": 1e-3}]
    path = folder / "segmenter.yaml"
    path.write_text(to_yaml({"task": "pix2pix", "stages": stages}))
    flags = ("--config", path, "--direction", "BtoA", "--adversary.kind", "none", "--batch", 4, "--load", 0, "--crop",
             crop, "--generator", "unet:levels=6:width=32", "--steps", images // 4, "--ema-half-life", 500)  # fmt: skip
    train(data, folder / "segmenter", *flags, preset="balanced")
    return folder / "segmenter" / "bundle.safetensors"


class Measure:
    """All measures of a bundle's outputs."""

    def __init__(self, data: Path, cache: PictureCache, segmenter: Path | None, ignored: list[int]) -> None:
        config = TranslationConfig(data=data, load=0, crop=64)
        self.sides = find_sides(config)
        self.pairs, _ = load_folder(data, config, self.sides, cache)
        self.distances = {f"Lite{size}": PerceptualDistance(EfficientNetLite(size)) for size in (2, 0)}
        self.segmenter = None if segmenter is None else load_bundle(segmenter)[0]
        self.ignored = torch.tensor(ignored)
        self.real: list[Tensor] = [self._pooled(self._pair(i)[1]) for i in range(len(self.pairs))]

    def _pair(self, number: int) -> tuple[Tensor, Tensor]:
        pair = self.pairs[number]
        sides = ((pair.input, self.sides.input), (pair.target, self.sides.target))
        given, target = (to_network(torch.from_numpy(values.copy())[None], pixels) for values, pixels in sides)  # type: ignore[union-attr]
        return given, target

    @torch.inference_mode()
    def _pooled(self, picture: Tensor) -> Tensor:
        found: Tensor = self.distances["Lite2"].network(picture)[-1].mean((-2, -1))
        return found

    @torch.inference_mode()
    def __call__(self, bundle: Path | None) -> dict[str, float]:
        """Of a bundle's network; of the targets themselves for None."""
        network = None if bundle is None else load_bundle(bundle)[0]
        rows: list[dict[str, float]] = []
        pooled, read, labels = [], [], []
        for number in range(len(self.pairs)):
            given, target = self._pair(number)
            output = target if network is None else self._applied(network, given)
            output = (output.clamp(0, 1) * 255).round() / 255
            if network is not None:
                row = {"L1": 255 * (output - target).abs().mean().item(), "PSNR": psnr_rgb(output, target).item(),
                       "SSIM": ssim_rgb(output, target).item()}  # fmt: skip
                rows.append(row | {name: d(output, target).item() for name, d in self.distances.items()})
                pooled.append(self._pooled(output))
            if self.segmenter is not None:
                found, wanted = self._applied(self.segmenter, output).argmax(1), given.argmax(1)
                seen = ~torch.isin(wanted, self.ignored)
                read.append(found[seen])
                labels.append(wanted[seen])
        values = {name: statistics.mean(row[name] for row in rows) for name in rows[0]} if rows else {}
        if pooled:
            values["KID (Lite2)"] = kernel_distance(torch.cat(pooled), torch.cat(self.real)).value
        if read:
            pair = (torch.cat(read), torch.cat(labels), self.sides.input.classes)
            values |= dict(zip(SCORES, (pixel_accuracy(*pair), class_accuracy(*pair), mean_iou(*pair)), strict=True))
        return values

    @staticmethod
    def _applied(network: Any, given: Tensor) -> Tensor:
        return run_tiled(network, given, scale=1, radius=None, multiple_of=int(network.multiple_of))


def main() -> None:
    """Train all recipes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--images", type=int, default=6000, help="that each recipe sees")
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of recipes")
    parser.add_argument("--ignore", type=int, nargs="*", default=[], help="classes that are no labels")
    parser.add_argument("--segmenter-images", type=int, default=14_000, help="that the segmenter sees")
    parser.add_argument("--segmenter", type=Path, help="bundle of one that is trained already")
    parser.add_argument("--keep", type=Path, help="folder for the runs")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    recorded: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}", "torch": torch.__version__,
        "images": options.images, "crop": options.crop, "width": options.width,
        "segmenter_images": options.segmenter_images,
        "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split()),
    }  # fmt: skip

    if options.json and options.json.is_file():
        known = json.loads(options.json.read_text())
        if any(known[key] != recorded[key] for key in ("images", "crop", "width")):
            raise SystemExit(f"{options.json} holds results of other options: give another file")
        rows = known["recipes"]

    def note(name: str, row: dict[str, float]) -> None:
        rows.setdefault(name, []).append(row)
        print(f"{name:<32}" + "  ".join(f"{key} {value:.4f}" for key, value in row.items()), flush=True)
        if options.json:
            write_text(options.json, json.dumps(recorded | {"recipes": rows}, indent=2) + "\n")

    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        segmenter = options.segmenter
        labelled = find_sides(TranslationConfig(data=options.data)).input.kind == "labels"
        if labelled and segmenter is None:
            segmenter = train_segmenter(options.data, folder, options.crop, options.segmenter_images)
        measure = Measure(options.data, PictureCache(folder / "cache"), segmenter, options.ignore)
        if segmenter is not None:
            rows.pop(CEILING, None)
            note(CEILING, measure(None))
        for seed in range(options.seeds):
            for number, (name, (preset, *flags)) in enumerate(RECIPES.items()):
                if (options.only and name not in options.only) or len(rows.get(name, ())) > seed:
                    continue
                out = folder / f"recipe{number}-seed{seed}"
                given = [flag.format(width=options.width) for flag in flags]
                batch = int(given[given.index("--batch") + 1])
                try:
                    train(options.data, out, *given, "--load", 0, "--crop", options.crop, "--seed", seed,
                                    "--steps", options.images // batch, preset=preset)  # fmt: skip
                except RuntimeError as error:  # the others' hours must not be lost
                    print(f"{name} failed: {error}", flush=True)
                    continue
                note(name, measure(out / "bundle.safetensors"))
    names = list(dict.fromkeys(key for values in rows.values() for row in values for key in row))
    print("\n| recipe | " + " | ".join(names) + " |\n|" + " --- |" * (len(names) + 1))
    for name, values in rows.items():
        cells = [spread([row[key] for row in values]) if key in values[0] else "" for key in names]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
