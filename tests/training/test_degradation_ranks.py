"""Training on degraded pictures: two ranks with four samples each, and pieces, do what one process does with eight."""

from __future__ import annotations

import dataclasses
import io
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from advtasks_sr.degradations import load_recipe, to_json
from advtasks_sr.presets import QUICK
from advtasks_sr.task import SuperResolution
from torch import Tensor
from torch.utils.data import Dataset

from advtasks.config import AdversaryConfig, StageConfig
from advtasks.data.loader import Position
from advtasks.process_group import joined
from advtasks.task import Batch, Splits
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console

MARGIN, PATCH = 2, 16


class Smooth(Dataset[Batch]):
    """High-resolution patches with structure, which blur and JPEG act upon."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, position: Position) -> Batch:
        draws = torch.Generator().manual_seed(position.seed)
        coarse = torch.rand(1, 3, 10, 10, generator=draws)
        side = (PATCH + 2 * MARGIN) * 4
        fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
        return {"high": (fine[0] * 255).to(torch.uint8).permute(1, 2, 0)}


class Watched(SuperResolution):
    """Keeps what it prepared."""

    def prepare(self, batch: Batch) -> Batch:
        found = super().prepare(batch)
        self.seen = [*getattr(self, "seen", []), {name: value.clone() for name, value in found.items()}]
        return found


def train(folder: Path, **changes: Any) -> dict[str, Any]:
    """Prepared batches and weights of three steps."""
    recipe = load_recipe("realesrgan")
    assert recipe is not None
    stage = StageConfig(name="adversarial", steps=3, weights={"l1": 1.0}, adversary=True, learning_rate=0.01)
    critic = AdversaryConfig(discriminator="patch:features=4:layers=1:norm=none", optimizer="sgd", learning_rate=0.01)
    options: dict[str, Any] = {
        "generator": "srresnet:features=4:blocks=1", "patch": PATCH, "batch": 8, "device": "cpu", "precision": "fp32", "seed": 3,
        "degradation": to_json(dataclasses.replace(recipe, margin=MARGIN)), "sharpen_target": True, "optimizer": "sgd",
        "log_every": 1, "checkpoint_every": 1, "validate_every": 100, "stages": (stage,), "adversary": critic, **changes,
    }  # fmt: skip
    config = dataclasses.replace(QUICK, **options)
    task = Watched(config)
    checkpoints = Checkpoints(folder / f"run-{os.environ.get('RANK', 'one')}-{config.accumulate}", 1)
    trainer = Trainer(
        task, config, Splits(Smooth(), []), make_adversaries(task, config), checkpoints, [], Console(io.StringIO())
    )
    before = {name: value.clone() for name, value in trainer.networks.generator.state_dict().items()}
    trainer.train()
    weights = {f"generator.{name}": value for name, value in trainer.state()["generator"].items()}
    weights |= {f"critic.{name}": value for name, value in trainer.state()["adversaries"]["image"].items()}
    return {"seen": task.seen, "weights": weights, "before": before}


def main(rank: int, ranks: int, port: str, folder: Path) -> None:
    """One rank."""
    torch.set_num_threads(1)
    if ranks > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="localhost", MASTER_PORT=port)
    with joined("cpu", 60):
        torch.save(train(folder), folder / f"{ranks}-{rank}.pt")
    if ranks == 1:
        torch.save(train(folder, accumulate=4), folder / "pieces.pt")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Of one process, of both ranks, and of one process in pieces."""
    folder = tmp_path_factory.mktemp("degraded")
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        port = str(taken.getsockname()[1])
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(ranks), port, str(folder)])
        for rank, ranks in ((0, 1), (0, 2), (1, 2))
    ]
    assert [process.wait(200) for process in processes] == [0, 0, 0]
    return {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1", "pieces")}


def test_ranks_degrade_their_rows_as_one_process_does(found: dict[str, dict[str, Any]]) -> None:
    whole = found["1-0"]["seen"][-3:]  # what comes before is the rehearsal
    parts = [found[f"2-{rank}"]["seen"][-3:] for rank in (0, 1)]
    lows: list[Tensor] = []
    for step, batch in enumerate(whole):
        assert set(batch) == {"low", "high", "target"}
        assert batch["low"].shape == (8, 3, PATCH, PATCH)
        assert batch["high"].shape == batch["target"].shape == (8, 3, 4 * PATCH, 4 * PATCH)
        assert not torch.equal(batch["high"], batch["target"])
        for name, value in batch.items():
            assert torch.equal(value, torch.cat([part[step][name] for part in parts])), (step, name)
        lows.append(batch["low"])
    assert not torch.equal(lows[0], lows[1])


@pytest.mark.parametrize("other", ["2-0", "pieces"])
def test_ranks_and_pieces_train_as_one_process(found: dict[str, dict[str, Any]], other: str) -> None:
    whole, parts = found["1-0"]["weights"], found[other]["weights"]
    assert whole.keys() == parts.keys()
    moved = max((whole[f"generator.{name}"] - value).abs().max() for name, value in found["1-0"]["before"].items())
    assert moved > 1e-4, "the comparison would notice nothing"
    for name, value in whole.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            scale = max(value.abs().max().item(), 1.0)
            torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6 * scale)
    assert torch.equal(found["1-0"]["seen"][-1]["low"], found["pieces"]["seen"][-1]["low"])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
