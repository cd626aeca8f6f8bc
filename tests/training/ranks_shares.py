"""What ranks of test_ranks_train.py do with a generator in shares."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import torch
from ranks_rows import configuration
from test_golden import LABELS, MADE, Pairs

from advtasks.task import Splits
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.loop import Trainer
from advtasks.training.progress import Console
from advtasks.training.sharding import whole_state

GENERATORS = {
    "unet:levels=2:width=4": MADE,
    "resnet:width=4:blocks=2": MADE,
    "pix2pixhd:width=4:blocks=1:downs=1:enhancer_blocks=1": MADE,
    "spade:width=2": {"crop": 64, "make_input": "none", "noise": 0, "input_pixels": LABELS},
}
"""Of translation, with options of the task."""
SHARED: dict[str, dict[str, Any]] = {**GENERATORS, "text2image": {}}
"""And one that draws its condition."""
LIVES = (0.0, 600.0)
"""Half-lives of the average in images."""


def in_shares(text: str, half_life: float, folder: Path) -> list[dict[str, dict[str, torch.Tensor]]]:
    """Where a generator and its average get as a whole and in shares; on the first rank."""
    found = []
    for shared in (False, True):
        named = {} if text == "text2image" else {"generator": text}
        row = ("pix2pix", "hinge") if named else ("text2image", "augmentation")
        config, task, splits = configuration(*row, "", "")
        config = dataclasses.replace(
            config,
            **named,
            ema_half_life=half_life,
            optimizer="adam:eps=0.001",  # a bias before a norm has no gradient but roundings
            shard_generator=shared,
            **SHARED[text],
        )
        if text.startswith("spade"):
            splits = Splits(Pairs(made=False, side=64), [])
        task = type(task)(config)
        checkpoints = Checkpoints(folder / f"{text.split(':')[0]}-{half_life}-{shared}", 1)
        trainer = Trainer(task, config, splits, make_adversaries(task, config), checkpoints, [], Console(io.StringIO()))
        trainer.networks.ema.ramp = 1e9
        trainer.train()
        networks = {"generator": trainer.networks.generator, "average": trainer.networks.ema.network}
        found.append({name: whole_state(network) for name, network in networks.items()})
    return found
