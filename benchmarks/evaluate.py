"""Time and memory of measuring two folders: ours, torch-fidelity and torchmetrics, on the same network and pictures.

    python benchmarks/evaluate.py --data DIR [--pictures 1000] [--json benchmarks/results/evaluate_cpu.json]

Protocol: two folders of PNG crops; EfficientNet-Lite0's pooled features (320 values) at 224x224; each side runs in a
process of its own, after one small run that warms caches of the system, sides in turn, the median of `--repeats`. Time
is that of reading, features and metrics, without imports; memory is the peak of the process over that after its
imports. Ours also resizes with Pillow's filter, which the other two do not do at all (their networks get what they
would do: torch's antialiased bicubic), and measures more. "the same metrics" are those that torch-fidelity has:
Fréchet and kernel distance, precision and recall; torchmetrics has the first two.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from elsewhere import peak_mib
from machine import machine
from metric_ladder import crops

from advtasks.allocator import keep_freed_memory
from advtasks.atomic import write_text
from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures
from advtasks.features.efficientnet_lite import EfficientNetLite
from advtasks.torchvision_operators import import_torchvision

SIDES = (
    "advtasks, all scores",
    "advtasks, the same metrics",
    "advtasks, features known",
    "torch-fidelity",
    "torchmetrics",
)


def at_once(pictures: torch.Tensor, network: EfficientNetLite) -> torch.Tensor:
    """(N, 3, H, W) bytes to pooled features, resized as well as torch can."""
    resized = torch.nn.functional.interpolate(pictures.float(), (224, 224), mode="bicubic", antialias=True)
    return network(resized.clamp(0, 255) / 255)[-1].mean((-2, -1))


def ours(folders: list[Path], side: str, cache: Path) -> float:
    from advtasks.evaluation.distributions import distribution_card
    from advtasks.evaluation.folder_features import folder_features
    from advtasks.evaluation.frechet import frechet_distance
    from advtasks.evaluation.kid import kernel_distance
    from advtasks.evaluation.manifold import manifold
    from advtasks.evaluation.moments import Moments

    keep_freed_memory()  # as the command does
    network = EfficientNetLite(0, classify="all" in side)
    fake, real = (folder_features(folder, network, PictureCache(cache)) for folder in folders)
    if "all" in side:
        card = distribution_card("x", fake, real, network)
        return card.scores[0].value
    value = frechet_distance(Moments.of(fake.features), Moments.of(real.features))
    kernel_distance(fake.features, real.features)
    manifold(real.features, fake.features)
    return value


def fidelity(folders: list[Path]) -> float:
    import torch_fidelity
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase

    class Lite(FeatureExtractorBase):
        def __init__(self, name, features_list, **options):  # type: ignore[no-untyped-def]
            super().__init__(name, features_list)
            self.network = EfficientNetLite(0)

        def forward(self, pictures):  # type: ignore[no-untyped-def]
            return (at_once(pictures, self.network),)

        @staticmethod
        def get_provided_features_list():  # type: ignore[no-untyped-def]
            return ("pooled",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric):  # type: ignore[no-untyped-def]
            return "pooled"

        @staticmethod
        def can_be_compiled():  # type: ignore[no-untyped-def]
            return False

        @staticmethod
        def get_dummy_input_for_compile():  # type: ignore[no-untyped-def]
            return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)

    torch_fidelity.register_feature_extractor("lite", Lite)
    count = len(list(folders[0].iterdir()))
    found = torch_fidelity.calculate_metrics(
        input1=str(folders[0]), input2=str(folders[1]), feature_extractor="lite", fid=True, kid=True, prc=True,
        cuda=False, cache=False, verbose=False, kid_subset_size=min(1000, count), batch_size=32, save_cpu_ram=True,
    )  # fmt: skip
    return float(found["frechet_inception_distance"])


def metrics(folders: list[Path]) -> float:
    from PIL import Image
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Lite(torch.nn.Module):
        num_features = 320

        def __init__(self) -> None:
            super().__init__()
            self.network = EfficientNetLite(0)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return at_once(pictures, self.network)

    network = Lite()
    count = len(list(folders[0].iterdir()))
    distances = (
        FrechetInceptionDistance(feature=network, input_img_size=(3, 128, 128)),
        KernelInceptionDistance(feature=network, subset_size=min(1000, count)),
    )

    class Files(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __init__(self, folder: Path) -> None:
            self.paths = sorted(folder.iterdir())

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, number: int) -> torch.Tensor:
            return torch.from_numpy(np.array(Image.open(self.paths[number]).convert("RGB"))).permute(2, 0, 1)

    with torch.inference_mode():
        for real, folder in enumerate(folders):
            for batch in torch.utils.data.DataLoader(Files(folder), batch_size=32, num_workers=2):
                for distance in distances:
                    distance.update(batch, real=bool(real))
        distances[1].compute()
        return float(distances[0].compute())


def one_side(side: str, folders: list[Path], cache: Path) -> None:
    """In a process of its own: prints JSON."""
    warnings.simplefilter("ignore")
    import_torchvision()
    import scipy.stats  # noqa: F401
    import torch_fidelity  # noqa: F401
    import torchmetrics.image  # noqa: F401

    import advtasks.evaluation.distributions  # noqa: F401

    before = peak_mib()
    start = time.perf_counter()
    if side == "torch-fidelity":
        value = fidelity(folders)
    elif side == "torchmetrics":
        value = metrics(folders)
    else:
        value = ours(folders, side, cache)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib() - before, "frechet": value}))


def main() -> None:
    """Run all sides in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        one_side(options.side, [options.place / "fake", options.place / "real"], options.place / "known")
        return
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        paths = list(find_pictures(options.data).pictures)
        for number, name in enumerate(("fake", "real", "small")):
            (place / name).mkdir()
            count = 32 if name == "small" else options.pictures
            for index, picture in enumerate(crops(paths[number::2], count, 128, np.random.default_rng(number))):
                picture.save(place / name / f"{index:05d}.png")
        for repeat in range(-1, options.repeats):  # the first fills the cache of the side that knows its features
            for side in SIDES:
                if repeat < 0 and "known" not in side:
                    continue
                if side in SIDES[:2]:  # nothing known
                    (place / "known").rename(place / "kept")
                command = [sys.executable, __file__, "--data", str(options.data), "--side", side, "--place", folder]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if side in SIDES[:2]:
                    subprocess.run(["rm", "-r", str(place / "known")], check=True)
                    (place / "kept").rename(place / "known")
                if done.returncode:
                    raise SystemExit(f"{side}: {done.stderr[-2000:]}")
                if repeat >= 0:
                    found[side].append(json.loads(done.stdout.splitlines()[-1]))
    table = {
        side: {key: statistics.median(row[key] for row in rows) for key in rows[0]} for side, rows in found.items()
    }
    for side, row in table.items():
        print(f"{side:<28}{row['seconds']:8.1f} s {row['peak_mib']:8.0f} MiB   Fréchet {row['frechet']:.4f}")
    if options.json:
        recorded = {
            "machine": machine(torch.device("cpu")), "torch": torch.__version__,
            "pictures": options.pictures, "repeats": options.repeats,
            "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split()), "sides": table, "runs": found,
        }  # fmt: skip
        write_text(options.json, json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    main()
