"""What each rank of test_ranks_train.py runs: short trainings of every task with every part, on its rows of each batch."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from advtasks_pix2pix.presets import QUICK as PAIRS
from advtasks_pix2pix.task import Translation
from advtasks_sr.presets import QUICK
from advtasks_sr.task import SuperResolution
from advtasks_synthesis.points import Points
from advtasks_synthesis.presets import RING
from advtasks_text2image.presets import QUICK as TEXT
from advtasks_text2image.task import TextToImage
from test_golden import LABELS, MADE, Bytes, Pairs
from test_golden import captioned as captions

from advtasks import components
from advtasks.components import provided
from advtasks.config import AdversaryConfig, RunConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.distributed import rank
from advtasks.errors import UsageError
from advtasks.process_group import joined
from advtasks.task import Splits, Task
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.loop import Trainer
from advtasks.training.networks import Networks
from advtasks.training.progress import Console
from advtasks.training.sharding import whole_state

STEPS = 3
PIECES = {"points": 4, "sr": 4, "pix2pix": 2, "text2image": 2}
"""Of eight samples."""
COMMON: dict[str, Any] = {"device": "cpu", "precision": "fp32", "log_every": 1, "checkpoint_every": 100, "seed": 3,
                          "validate_every": 100, "optimizer": "sgd", "batch": 8, "ema_half_life": 600.0}  # fmt: skip
STAGES = (StageConfig(name="adversarial", steps=STEPS, weights={}, adversary=True, learning_rate=5e-4),)
OPTIONS = {"weight-clipping": "weight-clipping:limit=1", "info-gan": "info-gan:categories=8", "top-k": "top-k:every=1:decay=0.5:least=0.5", "ada": "ada:p=0.5",
           "path-length": "path-length:every=1", "apa": "apa:p=0.5:target=none",
           "r1-first-order": "r1-first-order:epsilon=0.5", "historical-averaging": "historical-averaging:weight=100",
           "orthogonal": "orthogonal:weight=1"}  # fmt: skip
"""What a part needs to have an effect within three steps; the finite difference of r1-first-order amplifies roundings."""


TRAINER: dict[str, dict[str, Any]] = {
    "clipping": {"clip_norm": 1e-3},
    "critic-clipping": {"adversary": {"clip_norm": 1e-3, "learning_rate": 1.0}},
    "critic-steps": {"adversary": {"steps_per_generator_step": 2}},
    "mix-gan": {"adversary": {"critics": 2}},
    "packing": {"adversary": {"pack": 2}},
    "weight-schedule": {"adversary": {"weight": "0@0,1@2"}},
    "batch-statistics": {"adversary": {"discriminator": "mlp:width=8:minibatch=discrimination", "learning_rate": 0.01}},
}
"""Options that are no losses; clipping to norms that all gradients exceed."""


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Task, loss, regularizer, augment."""
    for task in ("points", "sr", "pix2pix", "text2image"):
        for loss in provided("losses"):
            yield task, loss, "", ""
        for name in provided("regularizers"):
            yield task, "non-saturating", name, ""
        for name in ("r1:interval=2", "wgan-gp:interval=3"):
            yield task, "relativistic-average", name, ""
        for name in provided("augments"):
            yield task, "hinge", "", name
    for name in provided("regularizers"):
        if "interval" in components.arguments("regularizers", name):
            yield "points", "hinge", f"{name}:interval=2", ""
    yield "sr", "batch-norm", "", ""
    for option in TRAINER:
        yield "points", option, "r1:interval=2", ""
    for task in ("points", "sr"):
        yield task, "simultaneous", "", ""
    for name in ("virtual-batch-norm", "feature-matching", "lecam"):
        yield "pix2pix", "simultaneous", name, ""
    yield "text2image", "augmentation", "", ""
    yield "text2image", "attention", "", ""


def in_both(row: tuple[str, str, str, str]) -> bool:
    """Whether ranks run the row in pieces, too: all of the core, and of each task what is its own."""
    own = {"wgan-gp", "matching-aware", "attention", "augmentation", "simultaneous", "virtual-batch-norm", "ada"}
    return row[0] == "points" or not row[2] + row[3] or bool(own & {*row})


def configuration(task: str, loss: str, regularizer: str, augment: str) -> tuple[RunConfig, Task, Splits]:
    """A short run. Raises UsageError where the task cannot serve the part."""
    critic = "mlp:width=8" if task == "points" else "patch:features=4:layers=1:norm=none"
    name, *more = regularizer.split(":")
    regularizers = [":".join((OPTIONS.get(name, name), *more))] if regularizer else []
    if loss in ("wasserstein", "neural-net-distance"):
        regularizers.append("weight-clipping:limit=1")
    if loss in ("began", "ebgan"):
        critic = "mlp-autoencoder:width=8" if task == "points" else "autoencoder:width=4"
    if task != "points" and "batch-norm" in (loss, regularizer.removeprefix("virtual-")):
        critic = "patch:features=4:layers=2:norm=batch"
    adversary = AdversaryConfig(
        discriminator=critic,
        loss="non-saturating" if loss in ("batch-norm", "simultaneous", *TRAINER) else loss,
        updates="simultaneous" if loss == "simultaneous" else "alternating",
        regularizers=tuple(regularizers),
        augments=(OPTIONS.get(augment, augment),) if augment else (),
        optimizer="sgd",
        learning_rate=5e-4,
    )
    if task == "points":
        adversary = dataclasses.replace(adversary, learning_rate=0.05)  # its gradients are small
        labelled = regularizer in ("ac-gan", "tac-gan", "adc-gan", "matching-aware", "info-gan")
        conditioning = "concat" if regularizer == "matching-aware" else "none"
        options = dict(TRAINER.get(loss, {}))
        adversary = dataclasses.replace(adversary, conditioning=conditioning, **options.pop("adversary", {}))
        config: RunConfig = dataclasses.replace(
            RING,
            **options,
            conditional=labelled,
            width=8,
            adversary=adversary,
            stages=tuple(dataclasses.replace(stage, learning_rate=0.5) for stage in STAGES),
            **COMMON,
        )
        made: Task = Points(config)
        return config, made, Splits(made.splits(PictureCache(Path(tempfile.gettempdir()))).train, [])
    stages = tuple(dataclasses.replace(stage, weights={"l1": 1.0}) for stage in STAGES)
    if task == "pix2pix":
        adversary = dataclasses.replace(adversary, learning_rate=5e-3)
        pairs = {
            "generator": "unet:levels=2:width=4",
            "crop": 16,
            "target_pixels": "{}",
            **MADE,
        }
        config = dataclasses.replace(PAIRS, stages=stages, adversary=adversary, **{**COMMON, **pairs})
        return config, Translation(config), Splits(Pairs(made=True), [])
    if task == "text2image":
        return captioned(loss, adversary)
    generator = "srresnet:features=4:blocks=1"
    config = dataclasses.replace(QUICK, generator=generator, patch=16, stages=stages, adversary=adversary, **COMMON)
    return config, SuperResolution(config), Splits(Bytes(), [])


def captioned(loss: str, adversary: AdversaryConfig) -> tuple[RunConfig, Task, Splits]:
    """Noise pictures with captions, some of them twice."""
    critic = "text:width=4:blocks=2" if "autoencoder" not in adversary.discriminator else adversary.discriminator
    if "virtual-batch-norm" in adversary.regularizers:
        critic = adversary.discriminator
    adversary = dataclasses.replace(
        adversary,
        discriminator=critic,
        learning_rate=0.05,
        loss="hinge" if loss in ("augmentation", "attention") else loss,
        conditioning="none" if "autoencoder" in critic else "concat",
    )
    weights = {"conditioning-kl": 1.0} if loss == "augmentation" else {}
    config = dataclasses.replace(
        TEXT,
        generator="df:width=4:hidden=8" + {"augmentation": ":augment=6", "attention": ":attention=8"}.get(loss, ""),
        words=4,
        size=16,
        latent=6,
        encoder="hash:width=8",
        caption_dropout=0.3,
        adversary=adversary,
        stages=tuple(dataclasses.replace(stage, weights=weights, learning_rate=0.05) for stage in STAGES),
        **COMMON,
    )
    task = TextToImage(config)
    return config, task, captions(task)


def keep_frozen_networks() -> None:
    """Read each network that measures once, not in every row."""
    build = components.build
    kept = functools.cache(lambda text: build("features", text))
    components.build = lambda group, text, **options: (
        kept(text) if group == "features" and not options else build(group, text, **options)
    )


class Logged:
    """A tracker that keeps what was measured in each step, but for times and memory."""

    def __init__(self) -> None:
        self.values: dict[str, torch.Tensor] = {}

    def record(self, values: dict[str, Any]) -> None:
        if values["kind"] == "train":
            measured = {k: v for k, v in values.items() if isinstance(v, float) and not k.startswith(UNMEASURED)}
            self.values.update({f"{values['step']}.{name}": torch.tensor(v) for name, v in measured.items()})

    def rewind(self, step: int) -> None:
        pass

    def close(self) -> None:
        pass


UNMEASURED = ("seconds", "memory", "images")


def train(row: tuple[str, str, str, str], folder: Path, before: bool = False, **changes: Any) -> dict[str, Any] | None:
    """The state after a few steps, and with `before` that before them; None where the task cannot serve the part."""
    try:
        config, task, splits = configuration(*row)
        config = dataclasses.replace(config, **changes)
        adversaries = make_adversaries(task, config)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            checkpoints = Checkpoints(Path(place), 1)
            logged = Logged()
            trackers = [logged] if rank() == 0 else []
            trainer = Trainer(task, config, splits, adversaries, checkpoints, trackers, Console(io.StringIO()))
            trainer.networks.ema.ramp = 1e9  # the average follows in every second step and lets the third one wait
            trainer.train()
            state = trainer.state()
    except UsageError:
        return None
    found = {name: state[name] for name in ("generator", "ema", "adversaries")} | {"logged": logged.values}
    if before:
        with torch.random.fork_rng():
            fresh = Networks(task, config, make_adversaries(task, config))
        critics = {view: adversary.state_dict() for view, adversary in fresh.adversaries.items()}
        found["before"] = {"generator": fresh.generator.state_dict(), "adversaries": critics}
    return found


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


def main(rank: int, ranks: int, port: str, folder: Path) -> None:
    """Run all rows on one rank and keep where they got."""
    torch.set_num_threads(1)
    keep_frozen_networks()
    if ranks > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="localhost", MASTER_PORT=port)
    with joined("cpu", 60):
        results = {"+".join(filter(None, row)): train(row, folder, before=ranks == 1) for row in rows()}
        if ranks > 1:
            both = {"+".join(filter(None, row)): train(row, folder, accumulate=2) for row in rows() if in_both(row)}
            both["no-sync"] = train(("sr", "batch-norm", "", ""), folder, sync_batch_norm=False)
            torch.save(both, folder / f"both-{rank}.pt")
            shares = {f"{text}+{life}": in_shares(text, life, folder) for text in SHARED for life in LIVES}
            torch.save(shares, folder / f"shares-{rank}.pt")
    torch.save(results, folder / f"{ranks}-{rank}.pt")
    if ranks == 1:
        pieces = {"+".join(filter(None, row)): train(row, folder, accumulate=PIECES[row[0]]) for row in rows()}
        torch.save(pieces, folder / "pieces.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
