"""Data loading against compute: is the loader ever the bottleneck?

    python benchmarks/loading.py --data datasets/photos [--json benchmarks/results/loading.json]

Times batches of the default preset (patch and batch of sr:quick) alone, and the training step that consumes them; then
the step fed by the loader thread against the step fed with one batch over and over.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from advtasks_sr.presets import QUICK
from advtasks_sr.task import SuperResolution

from advtasks.data.cache import PictureCache
from advtasks.data.loader import batches
from advtasks.task import Batch
from advtasks.training.adversaries import make_adversaries
from advtasks.training.clock import Clock
from advtasks.training.meters import Meters
from advtasks.training.networks import Networks
from advtasks.training.step import Step


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Of one call, over `repeats` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config = dataclasses.replace(QUICK, data=options.data, device="cpu")
    task = SuperResolution(config)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        splits = task.splits(PictureCache(Path(folder)))
        first = time.perf_counter() - start
        start = time.perf_counter()
        splits = task.splits(PictureCache(Path(folder)))
        again = time.perf_counter() - start
        stream = batches(splits.train, batch=config.batch, seed=0)
        next(stream)
        alone = statistics.median(seconds(lambda: next(stream), 40) for _ in range(5))
        networks = Networks(task, config, make_adversaries(task, config))
        step = Step(networks, config, config.stages[0], Meters(), Clock(networks.device))
        fixed = next(stream)
        counter = itertools.count()

        def take(batch: Batch) -> None:
            number = next(counter)
            step.run(batch, number, number)

        take(fixed)
        still, fed = [], []
        for _ in range(7):
            still.append(seconds(lambda: take(fixed), 10))
            fed.append(seconds(lambda: take(next(stream)), 10))
        stream.close()  # type: ignore[attr-defined]
    ratio = statistics.median(a / b for a, b in zip(fed, still, strict=True))
    record = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "torch": torch.__version__,
        "pictures": len(splits.train),  # type: ignore[arg-type]
        "batch": config.batch,
        "patch": config.patch * config.scale,
        "cache_built_s": first,
        "cache_found_s": again,
        "batch_alone_s": alone,
        "crops_per_s": config.batch / alone,
        "step_with_one_batch_s": statistics.median(still),
        "step_with_loader_s": statistics.median(fed),
        "loader_cost": ratio - 1,
    }
    for name, value in record.items():
        print(f"{name:<24} {value}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
