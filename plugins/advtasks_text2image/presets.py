"""Ready-made configurations. The first one is the default. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from advtasks.config import AdversaryConfig, StageConfig
from advtasks_text2image.config import TextConfig

QUICK = TextConfig(
    generator="df:width=16:gain=1:joined=true",
    size=32,
    batch=16,
    betas=(0.0, 0.9),
    ema_half_life=2000.0,
    log_every=50,
    validate_every=100_000,
    checkpoint_every=500,
    stages=(
        StageConfig(name="adversarial", steps=1600, weights={}, adversary=True, learning_rate=4e-4, schedule="linear"),
    ),
    adversary=AdversaryConfig(
        discriminator="text:width=16:blocks=3:gain=1:compressed=64",
        loss="relativistic-paired",
        regularizers=("matching-aware", "feature-matching:weight=50", "r1:gamma=0.1:interval=16"),
        augments=("diffaugment:policy=translation",),
        learning_rate=8e-4,
        betas=(0.0, 0.9),
    ),
)
"""Minutes on two cores: DF-GAN's networks at half their width and 32 pixels. At this length pictures have the shapes
and colours of the text where the critic's features are to be near those of the captioned picture and the first layer
sees the text, too, at the price of seeds that differ less; and with small batches and a relativistic loss. Colours are
not augmented, since captions name them."""

DF = TextConfig(
    generator="df",
    batch=32,
    betas=(0.0, 0.9),
    ema_half_life=10_000.0,
    log_every=100,
    validate_every=2_000,
    checkpoint_every=2_000,
    stages=(StageConfig(name="adversarial", steps=100_000, weights={}, adversary=True, learning_rate=1e-4),),
    adversary=AdversaryConfig(
        discriminator="text",
        loss="hinge",
        regularizers=("matching-aware", "ma-gp"),
        learning_rate=4e-4,
        betas=(0.0, 0.9),
    ),
)
"""DF-GAN (Tao et al. 2022): hinge, mismatches, MA-GP, one-way output, two time scales."""

GAN_CLS = TextConfig(
    generator="dcgan",
    batch=64,
    betas=(0.5, 0.999),
    ema_half_life=0.0,
    log_every=100,
    validate_every=2_000,
    checkpoint_every=2_000,
    stages=(StageConfig(name="adversarial", steps=50_000, weights={}, adversary=True, learning_rate=2e-4),),
    adversary=AdversaryConfig(
        discriminator="text:width=64:compressed=128",
        loss="non-saturating",
        regularizers=("matching-aware",),
        learning_rate=2e-4,
        betas=(0.5, 0.999),
    ),
)
"""GAN-CLS (Reed et al. 2016): DCGAN with a matching-aware critic, which has no batch norm here; the rates are not
halved."""

GAN_INT_CLS = dataclasses.replace(
    GAN_CLS,
    adversary=dataclasses.replace(GAN_CLS.adversary, regularizers=("matching-aware", "gan-int")),
)
"""The same with fakes of interpolated texts."""

PRESETS: Mapping[str, TextConfig] = MappingProxyType(
    {"quick": QUICK, "df": DF, "gan-cls": GAN_CLS, "gan-int-cls": GAN_INT_CLS}
)
