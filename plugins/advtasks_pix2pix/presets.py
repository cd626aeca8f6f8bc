"""Ready-made configurations. The first one is the default. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from advtasks.config import AdversaryConfig, StageConfig
from advtasks_pix2pix.config import TranslationConfig

QUICK = TranslationConfig(
    generator="unet:levels=6:width=32",
    batch=4,
    load=0,
    crop=128,
    validate_every=5000,
    ema_half_life=1000.0,
    betas=(0.5, 0.999),
    stages=(
        StageConfig(name="l1", steps=250, weights={"l1": 1.0}, learning_rate=1e-3, schedule="cosine"),
        StageConfig(
            name="adversarial",
            steps=220,
            weights={"l1": 1.0, "perceptual": 0.1},
            adversary=True,
            learning_rate=5e-4,
            schedule="cosine",
        ),
    ),
    adversary=AdversaryConfig(
        discriminator="patch:features=32:layers=2:norm=none",
        loss="hinge",
        weight=0.01,
        regularizers=("spectral-norm",),
        learning_rate=4e-4,
        betas=(0.5, 0.999),
    ),
)
"""Minutes on two cores: a small U-Net trained with L1, then with a perceptual loss and a critic."""

PAPER = TranslationConfig(
    generator="unet:norm=batch:upsample=transposed:dropout=0.5:test_time=paper",
    batch=1,
    load=286,
    crop=256,
    betas=(0.5, 0.999),
    ema_half_life=0.0,
    validate_every=5_000,
    checkpoint_every=5_000,
    log_every=100,
    stages=(
        StageConfig(name="constant", steps=40_000, weights={"l1": 100.0}, adversary=True, learning_rate=2e-4),
        StageConfig(
            name="decay", steps=40_000, weights={"l1": 100.0}, adversary=True, learning_rate=2e-4, schedule="linear"
        ),
    ),
    adversary=AdversaryConfig(
        discriminator="patch:norm=batch",
        loss="non-saturating",
        learning_rate=2e-4,
        betas=(0.5, 0.999),
    ),
)
"""pix2pix (Isola et al. 2017, sections 3 and 6, with the schedule of its PyTorch port): U-Net with batch norm and
dropout, both as in training when it is used, 70x70 PatchGAN, 100 L1; 200 epochs of 400 pictures. The critic's loss is
not halved: Adam's steps do not depend on it. ``--adversary.kind none`` is the plain L1 baseline."""

BALANCED = TranslationConfig(
    generator="unet",
    batch=4,
    load=286,
    crop=256,
    betas=(0.5, 0.999),
    ema_half_life=5_000.0,
    validate_every=2_500,
    checkpoint_every=2_500,
    log_every=100,
    stages=(
        StageConfig(name="l1", steps=10_000, weights={"l1": 1.0}, learning_rate=5e-4, schedule="cosine"),
        StageConfig(
            name="adversarial",
            steps=30_000,
            weights={"l1": 1.0, "perceptual": 0.1},
            adversary=True,
            learning_rate=2e-4,
            schedule="cosine",
        ),
    ),
    adversary=AdversaryConfig(
        discriminator="patch:norm=none",
        loss="hinge",
        weight=0.01,
        regularizers=("spectral-norm",),
        learning_rate=4e-4,
        betas=(0.5, 0.999),
    ),
)
"""Instance norm and resize convolutions, L1 first, then a perceptual loss and a hinge critic with spectral norm."""

HD = dataclasses.replace(
    BALANCED,
    generator="pix2pixhd",
    batch=1,
    load=1024,
    crop=1024,
    scales=2,
    stages=(
        StageConfig(name="constant", steps=100_000, weights={"perceptual": 10.0}, adversary=True, learning_rate=2e-4),
        StageConfig(
            name="decay",
            steps=100_000,
            weights={"perceptual": 10.0},
            adversary=True,
            learning_rate=2e-4,
            schedule="linear",
        ),
    ),
    adversary=AdversaryConfig(
        discriminator="patch",
        loss="least-squares",
        regularizers=("feature-matching:weight=10",),
        learning_rate=2e-4,
        betas=(0.5, 0.999),
    ),
)
"""pix2pixHD (Wang et al. 2018, sections 3.2 and 3.3, appendix): least squares, feature matching, two scales."""

SPADE = dataclasses.replace(HD, generator="spade", load=286, crop=256, batch=4)
"""For label maps (Park et al. 2019), with pix2pixHD's losses; the paper's critic loss is ``hinge``."""

PRESETS: Mapping[str, TranslationConfig] = MappingProxyType(
    {"quick": QUICK, "balanced": BALANCED, "paper": PAPER, "hd": HD, "spade": SPADE}
)
