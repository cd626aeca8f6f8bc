"""Ready-made configurations. The first one is the default. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from advtasks.config import AdversaryConfig, StageConfig
from advtasks_sr.config import SuperResolutionConfig

QUICK = SuperResolutionConfig(
    generator="srresnet:features=48:blocks=8:tail=direct:base=bicubic",
    batch=8,
    patch=32,
    channel_shuffle=0.5,
    validate_every=5000,  # the ends of both stages; one more would take 2 % of the time
    ema_half_life=2000.0,
    stages=(
        StageConfig(name="pixel", steps=2200, weights={"l1": 1.0}, learning_rate=1e-3, schedule="cosine"),
        StageConfig(
            name="adversarial",
            steps=200,
            weights={"l1": 1.0, "perceptual": 1.0},
            adversary=True,
            learning_rate=5e-4,
            schedule="cosine",
        ),
    ),
    adversary=AdversaryConfig(
        discriminator="patch:features=32:layers=2:norm=none",
        loss="non-saturating",
        weight=0.02,
        regularizers=("spectral-norm",),
        learning_rate=4e-4,
    ),
)
"""Minutes on two cores: a small SRResNet, then a short SRGAN stage."""

SRGAN = SuperResolutionConfig(
    generator="srresnet",
    perceptual_form="l1",
    batch=16,
    patch=32,
    ema_half_life=10_000.0,
    validate_every=5_000,
    checkpoint_every=5_000,
    log_every=100,
    stages=(
        StageConfig(name="pixel", steps=1_000_000, weights={"mse": 1.0}, learning_rate=1e-4),
        StageConfig(
            name="adversarial",
            steps=100_000,
            weights={"l1": 0.01, "perceptual": 1.0},
            adversary=True,
            learning_rate=1e-4,
        ),
        StageConfig(
            name="adversarial-fine",
            steps=100_000,
            weights={"l1": 0.01, "perceptual": 1.0},
            adversary=True,
            learning_rate=1e-5,
        ),
    ),
    adversary=AdversaryConfig(discriminator="vgg-style", loss="non-saturating", weight=5e-3),
)
"""SRGAN (Ledig et al. 2017, section 3.2): 16 blocks, MSE, then perceptual + adversarial, with the term weights that
became customary. The paper's perceptual network is ``vgg19:weights=FILE``; its patches are 96 pixels (24 low)."""

ESRGAN = SuperResolutionConfig(
    generator="rrdb",
    perceptual_form="l1",
    batch=16,
    patch=32,
    ema_half_life=10_000.0,
    validate_every=5_000,
    checkpoint_every=5_000,
    log_every=100,
    stages=(
        StageConfig(name="pixel", steps=1_000_000, weights={"l1": 1.0}, learning_rate=2e-4, schedule="cosine"),
        StageConfig(
            name="adversarial",
            steps=400_000,
            weights={"l1": 0.01, "perceptual": 1.0},
            adversary=True,
            learning_rate=1e-4,
            schedule="cosine",
        ),
    ),
    adversary=AdversaryConfig(discriminator="vgg-style", loss="relativistic-average", weight=5e-3),
)
"""ESRGAN (Wang et al. 2018, section 4.1): RRDB with 23 blocks, L1, then relativistic average GAN (lambda 5e-3,
eta 1e-2). The paper halves its learning rate in steps; here it falls on a cosine."""

REALESRGAN = SuperResolutionConfig(
    generator="rrdb",
    degradation="realesrgan",
    sharpen_target=True,
    perceptual_form="l1",
    batch=48,
    patch=64,
    ema_half_life=33_000.0,  # 0.999 a step
    validate_every=5_000,
    checkpoint_every=5_000,
    log_every=100,
    stages=(
        StageConfig(name="pixel", steps=1_000_000, weights={"l1": 1.0}, learning_rate=2e-4),
        StageConfig(
            name="adversarial",
            steps=400_000,
            weights={"l1": 1.0, "perceptual": 1.0},
            adversary=True,
            learning_rate=1e-4,
        ),
    ),
    adversary=AdversaryConfig(discriminator="unet", loss="non-saturating", weight=0.1),
)
"""Real-ESRGAN (Wang et al. 2021, section 4.1, and its training files): two passes of degradation, L1 on the sharpened
target, then perceptual + adversarial with a U-Net critic whose spectral norm is built in. Its four devices share 48
patches of 256 pixels; with one, --accumulate saves memory. Its perceptual network is VGG19 before the activations with
weights .1, .1, 1, 1, 1, and it mirrors patches but does not turn them."""

REALESRGAN_COMPACT = dataclasses.replace(REALESRGAN, generator="compact:convolutions=32")
"""The same with the network of ``realesr-general-x4v3``: 1.2 M parameters instead of 16.7 M."""

PRESETS: Mapping[str, SuperResolutionConfig] = MappingProxyType(
    {
        "quick": QUICK,
        "srgan": SRGAN,
        "esrgan": ESRGAN,
        "realesrgan": REALESRGAN,
        "realesrgan-compact": REALESRGAN_COMPACT,
    }
)
