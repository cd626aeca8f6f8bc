"""The configuration of a run: frozen dataclasses. Imports no torch.

Order of precedence: a preset, then a YAML file (:mod:`advtasks.config_files`), then flags.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from advtasks.errors import UsageError

_STAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all configuration records: unknown keys in a file are errors."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig(Options):
    """The adversary; --adversary.kind none takes it away."""

    kind: Literal["gan", "none"] = "gan"
    """none trains the plain task: the same run without critic and adversarial term."""
    discriminator: str = "patch"
    """Name of the critic, with options: vgg-style, patch:layers=4, unet."""
    loss: str = "non-saturating"
    """Name of the adversarial loss, with options: hinge, least-squares:a=-1, relativistic-average."""
    weight: float | str = 1.0
    """Of the generator's adversarial term: a number, or a schedule over the stage's steps 0@0,0.005@1000."""
    regularizers: tuple[str, ...] = ()
    """Names separated by commas or spaces, with options: r1:gamma=10:interval=16,spectral-norm."""
    augments: tuple[str, ...] = ()
    """What real and fake pass before the critic, named like regularizers: diffaugment, ada, instance-noise."""
    conditioning: Literal["concat", "projection", "none"] = "concat"
    """How the critic sees a task's condition: joined to the sample, by a projection head (classes, embeddings), or
    not at all."""
    pack: int = 1
    """PacGAN: samples that the critic judges at once."""
    critics: int = 1
    """MIX+GAN: critics with learned weights for each view."""
    label_smoothing: float = 0.0
    """One-sided: the target of real pictures is 1 minus this."""
    steps_per_generator_step: int = 1
    """Critic steps for each generator step (n_critic)."""
    updates: Literal["alternating", "simultaneous"] = "alternating"
    """alternating: the critic first, then the generator against the critic that has just learned. simultaneous: both
    answer the same fakes and the same critic, which saves a pass of the critic (the order of BasicSR's and ESRGAN's
    loops; simultaneous gradient descent)."""
    optimizer: str = "adam"
    """Of the critic, with options: adamw:weight_decay=0.01, lion, rmsprop."""
    learning_rate: float = 1e-4
    """Of the critic's optimizer."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Of the critic's optimizer, where it takes them."""
    clip_norm: float = 0.0
    """Shorten the critic's gradients together to this norm; 0 leaves them."""

    def __post_init__(self) -> None:
        for field_name in ("regularizers", "augments"):
            given = getattr(self, field_name)
            items = (given,) if isinstance(given, str) else given
            names = tuple(part.strip() for item in items for part in item.split(",") if part.strip())
            object.__setattr__(self, field_name, names)
        for name in ("pack", "critics", "steps_per_generator_step"):
            if getattr(self, name) < 1:
                raise UsageError(f"adversary.{name} must be at least 1, got {getattr(self, name)}")
        if not self.clip_norm >= 0:
            raise UsageError(f"adversary.clip_norm must be at least 0, got {self.clip_norm}")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"adversary.learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"adversary.label_smoothing must be at least 0 and below 1, got {self.label_smoothing}")


@dataclass(frozen=True, kw_only=True)
class StageConfig(Options):
    """A stretch of training with its own length, term weights and learning rate."""

    name: str
    """Shown in logs and reports, for example pixel."""
    steps: int
    """Length in training steps. --steps rescales all stages, keeping their shares."""
    weights: dict[str, float]
    """Weights of the task's own terms, by name; a term that is not named is not computed."""
    adversary: bool = False
    """Whether the adversary takes part."""
    learning_rate: float = 1e-4
    """Of the generator's optimizer, at the start of the stage."""
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """How learning rates run through the stage: cosine and linear fall to 1 % and to 0."""
    warmup: int = 0
    """Steps over which learning rates rise from 0 in a straight line before that."""
    batch: int | None = None
    """Batch size of this stage; the run's when not given."""

    def __post_init__(self) -> None:
        if not _STAGE_NAME.fullmatch(self.name):
            raise UsageError(f"stage {self.name!r}: names of stages are letters, digits, '-' and '_'; they name files")
        if self.steps < 1:
            raise UsageError(f"stage {self.name!r}: steps must be at least 1, got {self.steps}")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"stage {self.name!r}: learning_rate must be above 0, got {self.learning_rate}")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"stage {self.name!r}: batch must be at least 1, got {self.batch}")
        if not 0 <= self.warmup < self.steps:
            raise UsageError(f"stage {self.name!r}: warmup must be less than its {self.steps} steps, got {self.warmup}")


@dataclass(frozen=True, kw_only=True)
class RunConfig(Options):
    """What every training run has. Tasks extend it with their own fields."""

    data: Path | None = None
    """Folder of training pictures."""
    validation: Path | None = None
    """Folder of pictures to validate on; without it some of --data are held out."""
    out: Path | None = None
    """Run folder. Default: runs/TASK-PRESET-N with the next free N."""
    initial_weights: Path | None = None
    """Bundle or run whose generator's weights training begins with; of the same network."""
    steps: int | None = None
    """Length of the whole training; the stages keep their shares."""
    batch: int = 16
    """Samples a step, on all devices together."""
    accumulate: int = 1
    """Run each batch through the networks in this many pieces: the memory of one piece, the step of the whole batch."""
    seed: int = 0
    """Everything random derives from it."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    devices: int = 1
    """Processes on this machine, each with a GPU of its own, or its share of the processor's cores."""
    restarts: int = 0
    """How often processes that --devices started are started again from the last checkpoint when one dies."""
    rank_timeout: float = 600.0
    """Seconds after which a process that waits in vain for the others gives up: in steps, in validations, and while the
    first one writes files. Reading the data and measuring the baseline before training may take longer."""
    sync_batch_norm: bool = True
    """Batch norm takes its statistics over all processes, so that they compute what one would."""
    shard_generator: bool = False
    """Share the generator's weights among the processes (FSDP2), for one that does not fit on a device."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the main losses; penalties stay in fp32. auto is bf16 where the processor computes with it."""
    channels_last: bool = True
    """Memory layout of the networks."""
    critic_channels_last: bool | None = None
    """Memory layout of the critics, where theirs is another one."""
    compile: bool = False
    """Compile generator and critic; gradient penalties go through the critic as it is. Needs a C++ compiler."""
    workers: int = 0
    """Loader processes; 0 prepares batches in a thread, which is enough for cached pictures."""
    cache: Path | None = None
    """Folder of decoded pictures. Default: $ADVTASKS_CACHE, or the user's cache folder."""
    cache_gib: float = 50.0
    """The most that folder may hold. 0 keeps nothing and decodes a picture each time it is needed, for data that no
    disk could hold decoded; give it some --workers."""
    optimizer: str = "adam"
    """Of the generator, with options: adamw:weight_decay=0.01, lion, sgd:momentum=0.9."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Of the generator's optimizer, where it takes them."""
    clip_norm: float = 0.0
    """Shorten the generator's gradients together to this norm; 0 leaves them."""
    ema_half_life: float = 10_000.0
    """Half-life of the generator's moving average, in images; ramped up within each stage. It follows every fiftieth of
    that. 0 switches it off."""
    ema_follows_rate: bool = False
    """Shorten the half-life as the learning rate falls: slower weights need less averaging."""
    monitor: Literal["warn", "rollback", "off"] = "warn"
    """Watch critic, gradients and variety: say what goes wrong; rollback goes on from the last checkpoint at half the
    learning rates when training diverges, up to three times."""
    log_every: int = 20
    """Steps between records in metrics.jsonl and progress lines."""
    validate_every: int = 500
    """Steps between validations with preview pictures; one is made at the end of each stage in any case."""
    validate_share: float = 0.05
    """The most that validations within a stage may take of the time; those that would cost more are left out, but not
    with keep_best or early_stopping. 0 makes all."""
    validation_pictures: int = 20
    """At most this many pictures for validations within a stage; its end uses all of them."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    checkpoints_kept: int = 2
    """Older checkpoints are removed."""
    keep_best: str | None = None
    """Name of a metric: the bundle is the best of the last stage's validations by it, not the last."""
    early_stopping: int = 0
    """End a stage after this many validations without a better --keep-best (the task's first metric without one);
    0 does not."""
    profile: int = 0
    """Steps to trace with torch's profiler, after ten of warm-up, into RUN/profile."""
    stages: tuple[StageConfig, ...] = ()
    """The stages, in order."""
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        if self.steps is not None:
            object.__setattr__(self, "stages", _rescaled(self.stages, self.steps))
            object.__setattr__(self, "steps", None)
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:  # nor may it be no number at all
                raise UsageError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("cache_gib", "rank_timeout"):
            if getattr(self, name) == math.inf:
                raise UsageError(f"{name} must be finite")

    def stage_at(self, step: int, lengths: Sequence[int] | None = None) -> tuple[int, StageConfig, int] | None:
        """Number, configuration and first step of the stage that `step` is in; None after the last.

        Args:
            lengths: of the stages in steps, where one ended early or run.yaml was edited since. The stage's schedule
                follows its length here.
        """
        start = 0
        for number, stage in enumerate(self.stages):
            length = stage.steps if lengths is None else lengths[number]
            if step < start + length:
                return number, stage if stage.steps == length else dataclasses.replace(stage, steps=length), start
            start += length
        return None


@dataclass(frozen=True, kw_only=True)
class PictureConfig(RunConfig):
    """A run whose outputs are pictures that are compared with target pictures."""

    perceptual_network: str = "efficientnet-lite0"
    """Frozen network of the perceptual loss: efficientnet-lite0, or vgg19:weights=FILE (SRGAN's own)."""
    perceptual_form: Literal["unit", "l1"] = "unit"
    """unit: features scaled to unit length, as in LPIPS; l1: plain features, as in ESRGAN."""
    perceptual_layer_weights: tuple[float, ...] = ()
    """One weight for each layer of the perceptual network, shallow to deep; Real-ESRGAN: 0.1 0.1 1 1 1 with
    vgg19:weights=FILE:layers=conv1_2+conv2_2+conv3_4+conv4_4+conv5_4 and perceptual_form l1."""
    lpips: str = ""
    """lpips:trunk=FILE:heads=FILE measures LPIPS, too, and lets stages give the term lpips a weight."""
    dists: str = ""
    """dists:trunk=FILE:weights=FILE measures DISTS, too, and lets stages give the term dists a weight."""
    metric_network: str = "efficientnet-lite2"
    """Frozen network of the perceptual distance that validation measures; not one that is trained against."""


_LEAST = {
    "batch": 1,
    "accumulate": 1,
    "devices": 1,
    "restarts": 0,
    "rank_timeout": 1,
    "cache_gib": 0,
    "clip_norm": 0,
    "early_stopping": 0,
    "profile": 0,
    "seed": 0,
    "workers": 0,
    "ema_half_life": 0,
    "log_every": 1,
    "validate_every": 1,
    "validate_share": 0,
    "validation_pictures": 1,
    "checkpoint_every": 1,
    "checkpoints_kept": 1,
}


def _rescaled(stages: tuple[StageConfig, ...], steps: int) -> tuple[StageConfig, ...]:
    """The stages with `steps` steps in all, at least one each, keeping their shares."""
    if not stages:
        raise UsageError("steps: there are no stages to share them among")
    if steps < len(stages):
        raise UsageError(f"--steps {steps}: there are {len(stages)} stages, give at least as many steps")
    whole = sum(stage.steps for stage in stages)
    ends: list[int] = []
    seen = 0
    for place, stage in enumerate(stages):
        seen += stage.steps
        earliest = (ends[-1] if ends else 0) + 1
        latest = steps - (len(stages) - 1 - place)
        ends.append(min(max(round(steps * seen / whole), earliest), latest))
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return tuple(dataclasses.replace(s, steps=length) for s, length in zip(stages, lengths, strict=True))
