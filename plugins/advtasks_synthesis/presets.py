"""Ready-made configurations. The first one is the default. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from advtasks.config import AdversaryConfig, StageConfig
from advtasks_synthesis.config import PointsConfig

RING = PointsConfig(
    batch=256,
    precision="fp32",
    channels_last=False,
    betas=(0.0, 0.99),
    ema_half_life=50_000.0,
    log_every=100,
    validate_every=3000,
    checkpoint_every=3000,
    stages=(
        StageConfig(name="adversarial", steps=9000, weights={}, adversary=True, learning_rate=1e-3, schedule="cosine"),
    ),
    adversary=AdversaryConfig(
        discriminator="mlp",
        loss="relativistic-paired",
        regularizers=("r1:gamma=0.02", "r2:gamma=0.02"),
        learning_rate=1e-3,
        betas=(0.0, 0.99),
    ),
)
"""R3GAN's recipe (Huang et al. 2024): the paired relativistic loss with R1 and R2."""

GRID = dataclasses.replace(RING, distribution="grid", steps=10_000)

PRESETS: Mapping[str, PointsConfig] = MappingProxyType({"ring": RING, "grid": GRID})
