"""Which adversary loses modes? Trains the points task and writes a table, scatter plots and JSON.

Usage: python benchmarks/mode_coverage.py gate            the presets, three seeds each
       python benchmarks/mode_coverage.py matrix [STEPS]  losses x regularizers on the grid, one seed
       python benchmarks/mode_coverage.py long            six losses, without and with a penalty, at the presets' length
       python benchmarks/mode_coverage.py page            docs/mode_coverage.md and its plots from the JSON

Every run is ``advtasks train points`` in a process of its own, on one thread.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from advtasks.reporting.results import read_results

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLOTS = ROOT / "docs" / "images" / "modes"
LOSSES = (
    "minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic-paired",
    "relativistic-average", "relativistic-paired-least-squares", "f-kl", "f-reverse-kl", "f-hellinger",
    "f-jensen-shannon", "began",
)  # fmt: skip
LONG = ("non-saturating", "least-squares", "hinge", "wasserstein", "relativistic-paired", "relativistic-average")
SETS = {
    "none": (),
    "r1": ("r1:gamma=0.02",),
    "r1,r2": ("r1:gamma=0.02", "r2:gamma=0.02"),
    "wgan-gp": ("wgan-gp:weight=0.1",),
    "spectral-norm": ("spectral-norm",),
}


def run(name: str, *flags: str) -> dict[str, Any]:
    """One training; what it reached, and its scatter plot."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "advtasks.cli.main", "train", *flags, "--out", str(out)],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("advtasks:")]
            return {"name": name, "flags": list(flags), "failed": (lines or ["?"])[-1], "seconds": round(seconds, 1)}
        results = read_results(out)
        PLOTS.mkdir(parents=True, exist_ok=True)
        with Image.open(out / "pictures" / "0" / "adversarial.png") as picture:
            picture.resize((192, 192), Image.Resampling.LANCZOS).quantize(16).save(PLOTS / f"{name}.png", optimize=True)
    return {"name": name, "flags": list(flags), **results["stages"][-1]["metrics"], "seconds": round(seconds, 1)}


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """The record, after every run."""
    record = {
        "machine": {"cores": os.cpu_count(), "torch": torch.__version__, "python": platform.python_version()},
        "protocol": "2,500 samples of the moving average; a mode is caught by one sample within 3 sigma",
        "runs": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def gate() -> None:
    """The presets on three seeds."""
    rows = []
    for preset in ("ring", "grid"):
        for seed in range(3):
            rows.append(run(f"{preset}-seed{seed}", f"points:{preset}", "--seed", str(seed)))
            print(rows[-1], flush=True)
            save("mode_coverage_gate", rows)


def matrix(steps: int) -> None:
    """Every loss with every set of regularizers."""
    rows = []
    for loss in LOSSES:
        critic = "mlp-autoencoder:width=128:code=1" if loss in ("began", "ebgan") else "mlp"
        for label, regularizers in SETS.items():
            flags = ["points:grid", "--steps", str(steps), "--adversary.loss", loss]
            flags += ["--adversary.discriminator", critic, "--adversary.regularizers", *regularizers]
            row = run(f"{loss}--{label.replace(',', '-')}", *flags)
            rows.append({**row, "loss": loss, "regularizers": label})
            print(rows[-1], flush=True)
            save("mode_coverage_matrix", rows)


def long() -> None:
    """Fewer pairs at the length of the preset, where samples have become sharp."""
    rows = []
    for label in ("r1,r2", "none"):
        for loss in LONG:
            name = "wgan-gp" if loss == "wasserstein" else label
            if loss == "wasserstein" and label == "none":
                continue
            flags = ["points:grid", "--adversary.loss", loss, "--adversary.regularizers", *SETS[name]]
            row = run(f"long-{loss}--{name.replace(',', '-')}", *flags)
            rows.append({**row, "loss": loss, "regularizers": name})
            print(rows[-1], flush=True)
            save("mode_coverage_long", rows)


def long_table() -> list[str]:
    """The rows of the long runs."""
    runs = json.loads((RESULTS / "mode_coverage_long.json").read_text())["runs"]
    lines = ["| loss | without | with a penalty |", "|---|---|---|"]
    for loss in LONG:
        found = {
            row["regularizers"]: f"{row['modes']:.0f}, {row['high_quality']:.0%}" for row in runs if row["loss"] == loss
        }
        penalty = next((f"{text} ({name})" for name, text in found.items() if name != "none"), "")
        lines.append(f"| {loss} | {found.get('none', 'refused')} | {penalty} |")
    return lines


def page() -> None:
    """The tables of the docs, and one picture of all scatter plots."""
    runs = json.loads((RESULTS / "mode_coverage_matrix.json").read_text())["runs"]
    found = {(row["loss"], row["regularizers"]): row for row in runs}
    losses = list(dict.fromkeys(row["loss"] for row in runs))
    steps = next(row["flags"][2] for row in runs)
    lines = ["| loss | " + " | ".join(SETS) + " |", "|---" * (len(SETS) + 1) + "|"]
    sheet = np.full((len(losses) * 196, len(SETS) * 196, 3), 255, dtype=np.uint8)
    for i, loss in enumerate(losses):
        cells = []
        for j, label in enumerate(SETS):
            row = found.get((loss, label))
            if row is None or "failed" in row:
                refused = row is not None and "no bound" in row["failed"]
                cells.append("refused" if refused else "diverged")
                continue
            good = row["modes"] == 25
            text = f"{row['modes']:.0f}, {row['high_quality']:.0%}"
            cells.append(f"**{text}**" if good else text)
            with Image.open(PLOTS / f"{row['name']}.png") as picture:
                sheet[i * 196 : i * 196 + 192, j * 196 : j * 196 + 192] = np.asarray(picture.convert("RGB"))
        lines.append(f"| {loss} | " + " | ".join(cells) + " |")
    Image.fromarray(sheet).quantize(16).save(ROOT / "docs" / "images" / "mode_coverage.png", optimize=True)
    text = (ROOT / "docs" / "mode_coverage.md").read_text()
    start, end = "<!-- table: benchmarks/mode_coverage.py page -->", "<!-- end of table -->"
    before, rest = text.split(start)
    after = rest.split(end)[1]
    caption = f"\nModes of 25 and samples of high quality after {steps} steps; all 25 in bold.\n\n"
    whole = before + start + caption + "\n".join(lines) + "\n" + end + after
    start, end = "<!-- table: long runs -->", "<!-- end of long runs -->"
    before, rest = whole.split(start)
    whole = before + start + "\n" + "\n".join(long_table()) + "\n" + end + rest.split(end)[1]
    (ROOT / "docs" / "mode_coverage.md").write_text(whole)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["gate"]:
            gate()
        case ["matrix", *rest]:
            matrix(int(rest[0]) if rest else 3000)
        case ["long"]:
            long()
        case ["page"]:
            page()
        case _:
            sys.exit(__doc__)
