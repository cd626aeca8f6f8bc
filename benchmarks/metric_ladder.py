"""Which metric sees what: ladders of defects of real photographs, measured by every metric of folders.

    python benchmarks/metric_ladder.py --data DIR [--pictures 400] [--json benchmarks/results/metric_ladder.json]

Protocol: square crops of the photographs of DIR, half of the photographs real, the other half "generated", which each
ladder damages in three steps: noise, blur, JPEG, colour (a tint), lost modes (fewer and fewer photographs, their crops
repeated with a little noise), copies (more and more of the fakes are real pictures with a little noise). The control
is the undamaged other half, cut anew three times: the spread of a score over the controls is what it moves by chance.
A metric sees a ladder if its scores are in order from the middle of the controls on, and the strongest step is more
than three of those spreads away.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from advtasks import components
from advtasks.atomic import write_text
from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures
from advtasks.evaluation.distributions import distribution_card
from advtasks.evaluation.folder_features import folder_features

Picture = Image.Image
Damage = Callable[[Picture, np.random.Generator], Picture]


def noisy(strength: float) -> Damage:
    def change(picture: Picture, draws: np.random.Generator) -> Picture:
        values = np.asarray(picture) + draws.normal(0, strength, (*picture.size[::-1], 3))
        return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))

    return change


def blurred(radius: float) -> Damage:
    return lambda picture, _: picture.filter(ImageFilter.GaussianBlur(radius))


def compressed(quality: int) -> Damage:
    def change(picture: Picture, _: np.random.Generator) -> Picture:
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def tinted(gain: float) -> Damage:
    def change(picture: Picture, _: np.random.Generator) -> Picture:
        values = np.asarray(picture) * np.array([gain, 1.0, 1 / gain])
        return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))

    return change


LADDERS: dict[str, tuple[tuple[str, Damage], ...]] = {
    "noise": (("sigma 5", noisy(5)), ("sigma 15", noisy(15)), ("sigma 40", noisy(40))),
    "blur": (("sigma 0.7", blurred(0.7)), ("sigma 1.5", blurred(1.5)), ("sigma 4", blurred(4))),
    "JPEG": (("quality 60", compressed(60)), ("quality 25", compressed(25)), ("quality 8", compressed(8))),
    "colour": (("1.1", tinted(1.1)), ("1.25", tinted(1.25)), ("1.6", tinted(1.6))),
}
FEWER = (2, 8, 40)
"""Lost modes: one photograph of so many is left."""
COPIED = (0.1, 0.3, 1.0)
"""Shares of copies."""


def crops(paths: list[Path], count: int, side: int, draws: np.random.Generator) -> list[Picture]:
    """Random squares, the photographs in turn."""
    found = []
    for number in range(count):
        with Image.open(paths[number % len(paths)]) as image:
            whole = image.convert("RGB")
        left, top = (int(draws.integers(length - side + 1)) for length in whole.size)
        found.append(whole.crop((left, top, left + side, top + side)))
    return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    network = components.build("features", options.backbone, classify=True)
    paths = list(find_pictures(options.data).pictures)
    np.random.default_rng(0).shuffle(paths)  # type: ignore[arg-type]
    half = len(paths) // 2
    rows: dict[str, dict[str, float]] = {}
    labels: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as place:
        cache = PictureCache(Path(place) / "cache")

        def features(name: str, pictures: list[Picture]) -> Any:
            folder = Path(place) / name
            folder.mkdir()
            for number, picture in enumerate(pictures):
                picture.save(folder / f"{number:05d}.png", compress_level=1)
            return folder_features(folder, network, cache)

        def measured(name: str, pictures: list[Picture]) -> None:
            card = distribution_card(name, features(name.replace(" ", "-"), pictures), real, network)
            rows[name] = {score.name: score.value for score in card.scores}
            labels.update({score.name: score.label.partition(" (real ones")[0] for score in card.scores})
            print(f"{name:<22}" + "  ".join(f"{key} {value:.4g}" for key, value in rows[name].items()), flush=True)

        originals = crops(paths[:half], options.pictures, options.side, np.random.default_rng(1))
        real = features("real", originals)
        for number in range(3):
            measured(
                f"control {number}",
                crops(paths[half:], options.pictures, options.side, np.random.default_rng(10 + number)),
            )
        clean = crops(paths[half:], options.pictures, options.side, np.random.default_rng(10))
        for ladder, steps in LADDERS.items():
            for step, damage in steps:
                draws = np.random.default_rng(2)
                measured(f"{ladder} {step}", [damage(picture, draws) for picture in clean])
        draws = np.random.default_rng(3)
        little = noisy(2)
        for fewer in FEWER:
            left = clean[: max(len(clean) // fewer, 1)]
            pictures = [little(left[number % len(left)], draws) for number in range(len(clean))]
            measured(f"lost modes 1 of {fewer}", pictures)
        for share in COPIED:
            count = round(share * len(clean))
            measured(f"copies {share:.0%}", [little(x, draws) for x in originals[:count]] + clean[count:])
    table = sees(rows)
    for metric, seen in table.items():
        print(f"{labels[metric]:<80}" + "  ".join(f"{ladder}: {mark}" for ladder, mark in seen.items()))
    if options.json:
        recorded = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}", "torch": torch.__version__,
            "pictures": options.pictures, "side": options.side, "backbone": options.backbone,
            "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split()),
            "labels": labels, "scores": rows, "sees": table,
        }  # fmt: skip
        write_text(options.json, json.dumps(recorded, indent=2) + "\n")


def sees(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, str]]:
    """For each metric and ladder ``up``, ``down`` (the direction in which the defect moves it) or ``-``."""
    ladders: dict[str, list[str]] = {}
    for name in rows:
        ladder = next((known for known in (*LADDERS, "lost modes", "copies") if name.startswith(known)), None)
        if ladder:
            ladders.setdefault(ladder, []).append(name)
    rows = {name: row | {"support": math.log(row["support"])} for name, row in rows.items()}  # it spans magnitudes
    controls = [row for name, row in rows.items() if name.startswith("control")]
    found: dict[str, dict[str, str]] = {}
    for metric in controls[0]:
        usual = [row[metric] for row in controls]
        middle, spread = statistics.median(usual), max(usual) - min(usual)
        found[metric] = {}
        for ladder, names in ladders.items():
            series = [middle, *(rows[name][metric] for name in names)]
            up, down = series == sorted(series), series == sorted(series, reverse=True)
            far = abs(series[-1] - middle) > 3 * spread
            found[metric][ladder] = ("up" if up else "down") if far and (up or down) else "-"
    return found


if __name__ == "__main__":
    main()
