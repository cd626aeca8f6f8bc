"""The rows of test_ranks_train.py: every task with every loss, regularizer and augment, and the options of the trainer."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advtasks_pix2pix.presets import QUICK as PAIRS
from advtasks_pix2pix.task import Translation
from advtasks_sr.presets import QUICK
from advtasks_sr.task import SuperResolution
from advtasks_synthesis.points import Points
from advtasks_synthesis.presets import RING
from advtasks_text2image.presets import QUICK as TEXT
from advtasks_text2image.task import TextToImage
from test_golden import MADE, Bytes, Pairs
from test_golden import captioned as captions

from advtasks import components
from advtasks.components import provided
from advtasks.config import AdversaryConfig, RunConfig, StageConfig
from advtasks.data.cache import PictureCache
from advtasks.task import Splits, Task

Row = tuple[str, str, str, str]
"""Task, loss, regularizer, augment."""
STEPS = 3
PIECES = {"points": 4, "sr": 4, "pix2pix": 2, "text2image": 2}
"""Of eight samples."""
COMMON: dict[str, Any] = {"device": "cpu", "precision": "fp32", "log_every": 1, "checkpoint_every": 100, "seed": 3,
                          "validate_every": 100, "optimizer": "sgd", "batch": 8, "ema_half_life": 600.0}  # fmt: skip
STAGES = (StageConfig(name="adversarial", steps=STEPS, weights={}, adversary=True, learning_rate=5e-4),)
OPTIONS = {
    "ada": "ada:p=0.5",
    "apa": "apa:p=0.5:target=none",
    "bcr": "bcr:weight=30",
    "cr": "cr:weight=50",
    "historical-averaging": "historical-averaging:weight=100",
    "info-gan": "info-gan:categories=8",
    "ma-gp": "ma-gp:weight=100",
    "max-gp": "max-gp:weight=10",
    "orthogonal": "orthogonal:weight=1",
    "path-length": "path-length:every=1",
    "pulling-away": "pulling-away:weight=1",
    "r1-first-order": "r1-first-order:epsilon=0.5",
    "spectral-penalty": "spectral-penalty:weight=0.1",
    "top-k": "top-k:every=1:decay=0.5:least=0.5",
    "weight-clipping": "weight-clipping:limit=0.1",
    "wgan-lp": "wgan-lp:weight=0.1",
    "zcr": "zcr:discriminator_weight=100:generator_weight=5:sigma=0.5",
}
"""What a part needs to have an effect within three steps; the finite difference of r1-first-order amplifies roundings."""
STEEP = {"points": 3.0, "sr": 6.0, "pix2pix": 4.0, "text2image": 2.5}
"""By how much a critic's weights are enlarged for wgan-lp, which starts at slopes that a fresh one does not reach."""
EMBEDDED = {"ma-gp", "gan-int", "contrastive"}
LABELLED = {"ac-gan", "tac-gan", "adc-gan"}
REFUSED = {
    "points": EMBEDDED | {"virtual-batch-norm", "cr", "bcr", "diffaugment", "ada"},
    "sr": EMBEDDED | LABELLED | {"matching-aware", "path-length", "zcr", "info-gan"},
    "pix2pix": EMBEDDED | LABELLED | {"matching-aware", "path-length", "zcr", "info-gan", "cr", "bcr"},
    "text2image": LABELLED | {"info-gan"},
}
"""What each task cannot serve."""
FAST = {"sr": (0.03, 5e-3), "pix2pix": (0.05, 0.05)}
"""Learning rates of the critic and of the generator where a loss that is not steep leaves room for what a part adds."""
SLOW = {"r1-first-order", "wgan-lp"}
"""Regularizers of pictures that small steps show well enough, and large ones would amplify roundings of."""
TRAINER: dict[str, dict[str, Any]] = {
    "clipping": {"clip_norm": 1e-3},
    "critic-clipping": {"adversary": {"clip_norm": 1e-3, "learning_rate": 1.0}},
    "critic-steps": {"adversary": {"steps_per_generator_step": 2}},
    "mix-gan": {"adversary": {"critics": 2}},
    "packing": {"adversary": {"pack": 2}},
    "simultaneous": {"adversary": {"updates": "simultaneous", "learning_rate": 0.5}},
    "weight-schedule": {"adversary": {"weight": "0@0,1@2"}},
    "batch-statistics": {"adversary": {"discriminator": "mlp:width=8:minibatch=discrimination", "learning_rate": 0.01}},
}
"""Options that are no losses; clipping to norms that all gradients exceed."""


def rows() -> list[Row]:
    """All that are trained."""
    return [row for row in every_row() if not is_refused(row)]


def is_refused(row: Row) -> bool:
    """Whether the task cannot serve the part."""
    return not REFUSED[row[0]].isdisjoint((row[2].partition(":")[0], row[3]))


def every_row() -> Iterator[Row]:
    """Each task with each part."""
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
    yield "sr", "simultaneous", "", ""
    for name in ("virtual-batch-norm", "feature-matching", "lecam"):
        yield "pix2pix", "simultaneous", name, ""
    yield "text2image", "augmentation", "", ""
    yield "text2image", "attention", "", ""


def named(row: Row) -> str:
    """As its test is called."""
    return "+".join(filter(None, row))


def in_both(row: Row) -> bool:
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
    if task != "points" and "batch-norm" in (loss, name.removeprefix("virtual-")):
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
    if task in FAST and name not in SLOW and (name or augment or loss in ("batch-norm", "simultaneous")):
        fast, generator_fast = FAST[task]
        adversary = dataclasses.replace(adversary, learning_rate=fast)
        stages = tuple(dataclasses.replace(stage, learning_rate=generator_fast) for stage in stages)
    elif task == "pix2pix":
        adversary = dataclasses.replace(adversary, learning_rate=5e-3)
    if task == "pix2pix":
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


def without_part(*row: str) -> tuple[RunConfig, Task, Splits]:
    """Without what the row is about: the option, the regularizer, the augment, else the adversarial term."""
    task, loss, regularizer, augment = row
    if loss in ("augmentation", "attention") or (loss in TRAINER and loss != "simultaneous"):
        return configuration(task, "hinge" if task == "text2image" else "non-saturating", regularizer, augment)
    config, made, splits = configuration(*row)
    less: dict[str, Any] = {"weight": "0"}
    if loss == "simultaneous":
        less = {"updates": "alternating"}
    elif regularizer or augment:
        less = {"regularizers": config.adversary.regularizers[1 if regularizer else 0 :], "augments": ()}
    config = dataclasses.replace(config, adversary=dataclasses.replace(config.adversary, **less))
    return config, type(made)(config), splits


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
