"""What the recipes of text-conditioned synthesis are worth, on captions held out by combination.

    python benchmarks/text2image_quality.py --data DIR [--images 40000] [--seeds 0,1] [--json FILE]

``datasets/make_emoji.py --no-skin-tones`` makes the data that it is meant for.

Protocol: the captioned pictures of DIR; a tenth of the pictures are held out whose captions, word by word, are known
from training, so that only their combination is new (where there are too few of those, by content). Every recipe
trains at the same size and width, with the same encoder, on equally many real pictures seen, in batches of 32, or of
16 for `quick`; the seconds are those of the trainer's own clock, on a machine that did nothing else if they are to be
compared. One picture of each held-out caption is generated from the averaged weights. Measured on EfficientNet-Lite2,
pooled, at 128 pixels, which nothing trains against: the kernel and Fréchet distances to the held-out pictures (of the
real ones: of as many training pictures); R-precision by a ridge probe fitted on the real training pairs, beside the
real held-out pictures (ceiling), chance (1 %) and the same pictures with captions shuffled (control); diversity as
MS-SSIM of pairs of pictures of one caption, lower is more varied; copies as the share closer to a training picture
than 99 % of held-out ones are.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from advtasks_text2image.config import TextConfig
from advtasks_text2image.data import features_of, load, pixels_of
from advtasks_text2image.measure import CANDIDATES, Measure
from advtasks_text2image.sampler import Sampler
from machine import machine
from tables import spread
from torch import Tensor

from advtasks import components
from advtasks.atomic import write_text
from advtasks.data.cache import PictureCache
from advtasks.data.captions import Captioned, find_captions, normalized
from advtasks.evaluation.frechet import frechet_distance
from advtasks.evaluation.kid import kernel_distance
from advtasks.evaluation.moments import Moments
from advtasks.evaluation.support import nearest
from advtasks.evaluation.text_scores import RidgeProbe, most_candidates, r_precision
from advtasks.losses import multi_scale_ssim
from advtasks.seeds import parse_seeds

BATCH = 32
CRITIC = "text:width=16:blocks={blocks}"
"""Halved until 4x4 are left, whatever the size."""
OWN = ("--generator", "df:width=16", "--adversary.discriminator", CRITIC)
QUICK = ("--batch", "16", "--adversary.discriminator", CRITIC + ":gain=1:compressed=64")
REED = ("--generator", "dcgan:width=32", "--adversary.discriminator", CRITIC + ":compressed=128")
RECIPES: dict[str, tuple[str, ...]] = {
    "GAN-CLS": ("gan-cls", *REED),
    "GAN-INT-CLS": ("gan-int-cls", *REED),
    "DF without MA-GP": ("df", *OWN, "--adversary.regularizers", "matching-aware"),
    "DF + MA-GP": ("df", *OWN),
    "DF + projected critic": (
        "df", "--generator", "df:width=16:gain=1", "--adversary.discriminator", "projected:width=16",
        "--adversary.regularizers", "matching-aware", "--stages.0.learning-rate", "4e-4",
    ),
    "quick": ("quick", *QUICK),
    "quick without feature matching": (
        "quick", *QUICK, "--adversary.regularizers", "matching-aware,r1:gamma=0.1:interval=16",
    ),
    "quick with a contrastive term": (
        "quick", *QUICK, "--adversary.regularizers",
        "matching-aware,contrastive:weight=0.5,feature-matching:weight=50,r1:gamma=0.1:interval=16",
    ),
}  # fmt: skip
REAL = "real pictures (ceiling)"


def held_out(items: tuple[Captioned, ...], share: float) -> set[Path]:
    """Pictures whose words are all said of others, too."""
    draws = random.Random(0)
    order = sorted(items, key=lambda item: item.path)
    draws.shuffle(order)
    said: dict[str, int] = {}
    for item in items:
        for word in {word for caption in item.captions for word in normalized(caption).split()}:
            said[word] = said.get(word, 0) + 1
    captions: dict[str, int] = {}
    for item in items:
        captions[normalized(item.captions[0])] = captions.get(normalized(item.captions[0]), 0) + 1
    found: set[Path] = set()
    wanted = round(share * len(items))
    for item in order:
        words = {word for caption in item.captions for word in normalized(caption).split()}
        if captions[normalized(item.captions[0])] == 1 and all(said[word] > 1 for word in words):
            found.add(item.path)
            for word in words:
                said[word] -= 1
        if len(found) == wanted:
            break
    return found


def split(data: Path, place: Path) -> tuple[Path, Path]:
    """Two folders with a table each."""
    items = find_captions(data).items
    held = held_out(items, 0.1)
    folders = place / "train", place / "held"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    rows: dict[Path, list[str]] = {folder: [] for folder in folders}
    for item in items:
        folder = folders[item.path in held]
        shutil.copyfile(item.path, folder / item.path.name)
        rows[folder].append(json.dumps({"file_name": item.path.name, "text": list(item.captions)}))
    for folder in folders:
        (folder / "metadata.jsonl").write_text("\n".join(rows[folder]) + "\n")
    print(f"{len(rows[folders[0]])} pictures to train on, {len(rows[folders[1]])} held out by combination", flush=True)
    return folders


def train(data: Path, held: Path, out: Path, images: int, seed: int, preset: str, *flags: str) -> float:
    """A run on so many images; gives its seconds."""
    batch = int(flags[flags.index("--batch") + 1]) if "--batch" in flags else BATCH
    command = [sys.executable, "-m", "advtasks.cli.main", "train", f"text2image:{preset}", "--data", str(data),
               "--validation", str(held), "--out", str(out), "--seed", str(seed), "--steps", str(images // batch),
               "--batch", str(batch), "--validate-every", "1000000", "--checkpoint-every", "1000000",
               *flags]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return float(json.loads((out / "results.json").read_text())["stages"][-1]["seconds"])


class Judge:
    """All measures of a bundle."""

    def __init__(self, train_folder: Path, held: Path, cache: PictureCache, encoder: str, size: int) -> None:
        config = TextConfig(encoder=encoder, size=size)
        notes: list[str] = []
        self.train, self.held = (
            load(find_captions(folder).items, config, cache, notes) for folder in (train_folder, held)
        )
        self.measure = Measure(components.build("features", config.metric_network))
        self.encoder = components.build("text_encoders", encoder)
        self.seen, self.real = (features_of(self.measure.network, items) for items in (self.train, self.held))
        self.known, self.texts = (
            self.encoder.encode([item.captions[0] for item in items]).sentences for items in (self.train, self.held)
        )
        self.probe = RidgeProbe(self.seen, self.known)
        self.close = nearest(self.real, self.seen)[0].quantile(0.01)

    def __call__(self, pictures: Tensor, pairs: Tensor | None) -> dict[str, float]:
        found = self.measure.features(pictures)
        pool = torch.cat((self.texts, self.known))
        count = min(CANDIDATES, most_candidates(self.texts, pool))
        order = torch.randperm(len(self.texts), generator=torch.Generator().manual_seed(1))
        values = {
            **self.distances(found),
            "R-precision": r_precision(self.probe(found), self.texts, pool, count),
            "shuffled": r_precision(self.probe(found), self.texts[order], pool, count),
            "copies": float((nearest(found, self.seen)[0] < self.close).double().mean()),
        }
        if pairs is not None:
            values["MS-SSIM of one caption"] = multi_scale_ssim(pairs[:, 0], pairs[:, 1]).mean().item()
        return values

    def distances(self, found: Tensor) -> dict[str, float]:
        """Of features (N, d) to those of the held-out pictures."""
        return {
            "KD (Lite2)": kernel_distance(found, self.real).value,
            "FD (Lite2)": frechet_distance(Moments.of(found), Moments.of(self.real)),
        }

    def of(self, bundle: Path) -> dict[str, float]:
        """Of a trained generator."""
        sampler = Sampler.load(bundle)
        captions = [item.captions[0] for item in self.held]
        pairs = torch.stack([sampler(caption, (number, number + 10_000)) for number, caption in enumerate(captions)])
        pairs = (pairs * 255).round() / 255
        return self(pairs[:, 0], pairs)


def main() -> None:
    """Train all recipes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--images", type=int, default=40_000, help="real pictures seen by each recipe")
    parser.add_argument("--size", type=int, default=32, help="side of the pictures")
    parser.add_argument("--seeds", default="0", help="such as 0,1 or 0-2")
    parser.add_argument("--only", nargs="*", help="names of recipes")
    parser.add_argument("--encoder", default="wordllama")
    parser.add_argument("--keep", type=Path, help="folder for the runs")
    options = parser.parse_args()
    recorded: dict[str, Any] = {
        "machine": machine(torch.device("cpu")), "torch": torch.__version__,
        "images": options.images, "size": options.size, "encoder": options.encoder,
        "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split()),
    }  # fmt: skip
    rows: dict[str, list[dict[str, float]]] = {}
    if options.json and options.json.is_file():
        known = json.loads(options.json.read_text())
        if any(known[key] != recorded[key] for key in ("images", "size", "encoder")):
            raise SystemExit(f"{options.json} holds results of other options: give another file")
        rows = known["recipes"]

    def note(name: str, row: dict[str, float]) -> None:
        rows.setdefault(name, []).append(row)
        print(f"{name:<26}" + "  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
        if options.json:
            write_text(options.json, json.dumps(recorded | {"recipes": rows}, indent=2) + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        folders = split(options.data, place / "data")
        judge = Judge(*folders, PictureCache(place / "cache"), options.encoder, options.size)
        rows.pop(REAL, None)
        note(
            REAL,
            judge(pixels_of(judge.held), None) | judge.distances(judge.seen[:: len(judge.seen) // len(judge.real)]),
        )
        for seed in parse_seeds(options.seeds):
            for number, (name, (preset, *flags)) in enumerate(RECIPES.items()):
                if (options.only and name not in options.only) or seed in [row["seed"] for row in rows.get(name, ())]:
                    continue
                out = place / f"recipe{number}-seed{seed}"
                blocks = options.size.bit_length() - 3
                flags = [flag.format(blocks=blocks) for flag in flags]
                flags += ["--encoder", options.encoder, "--size", str(options.size)]
                seconds = train(*folders, out, options.images, seed, preset, *flags)
                note(name, {"seed": seed, "seconds": seconds, **judge.of(out / "bundle.safetensors")})
    names = list(dict.fromkeys(key for values in rows.values() for row in values for key in row if key != "seed"))
    print("\n| recipe | " + " | ".join(names) + " |\n| --- |" + " --- |" * len(names))
    for recipe, values in rows.items():
        cells = [spread(found) if (found := [row[n] for row in values if n in row]) else "" for n in names]
        print(f"| {recipe} | " + " | ".join(cells) + " |")
    if statistics.mean(row["shuffled"] for values in rows.values() for row in values) > 0.05:
        print("warning: shuffled captions should score about 1 %")


if __name__ == "__main__":
    main()
