"""What a GPU would refuse or be waited for, found without one: training steps on torch's ``meta`` device.

Tensors there have no values, so that the host cannot read one; :class:`Strict` refuses, too, what a GPU would: operations
on tensors of both devices, and copies from the host that it would wait for, but for an index that is a Python list. What
kernels exist and compute, only a GPU tells (tests/gpu).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import ranks_rows
import ranks_shares
import torch
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.makers import MAKERS, made_pixels
from advtasks_pix2pix.task import Translation
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.task import SuperResolution
from test_golden import LABELS, Pairs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from advtasks.config import RunConfig
from advtasks.data.loader import Position, collated
from advtasks.losses.picture_terms import PICTURE_LOSSES
from advtasks.task import Batch, Splits, Task
from advtasks.training.adversaries import make_adversaries
from advtasks.training.clock import Clock
from advtasks.training.guard import Guard
from advtasks.training.meters import Meters
from advtasks.training.networks import Networks
from advtasks.training.progress import Console
from advtasks.training.recorder import Recorder
from advtasks.training.step import Step

META = torch.device("meta")
ROWS = 8
_ALL_DUE = 11
"""A step of the stage in which phases with intervals of 1, 2, 3 and 4 come."""


class Strict(TorchDispatchMode):
    """Raises where a GPU would, or would be waited for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [item for item in tree_leaves((args, kwargs)) if isinstance(item, Tensor)]
        name = func.overloadpacket.__name__
        if name in ("_to_copy", "copy_"):
            target = kwargs.get("device") or given[0].device
            waits = not (kwargs.get("non_blocking") or (name == "copy_" and True in args[2:]))
            if waits and given[-1].device.type == "cpu" and torch.device(target) == META:
                raise AssertionError(f"the host waits while {tuple(given[-1].shape)} is copied to the device")
        elif len({item.device for item in given if item.dim()}) > 1:
            raise AssertionError(f"{name}: " + ", ".join(f"{tuple(item.shape)} on {item.device}" for item in given))
        return func(*args, **kwargs)


@contextlib.contextmanager
def strictly() -> Any:
    """What a GPU could not do, or not without waiting, is an error within."""
    make = torch.tensor

    def tensor(values: Any, **kwargs: Any) -> Tensor:
        if torch.device(kwargs.get("device") or "cpu") == META:
            raise AssertionError(f"the host waits while {values} is copied to the device")
        return make(values, **kwargs)

    def new_tensor(like: Tensor, values: Any, **kwargs: Any) -> Tensor:
        return tensor(values, **{"dtype": like.dtype, "device": like.device, **kwargs})

    with pytest.MonkeyPatch.context() as patched, Strict():
        patched.setattr(torch, "tensor", tensor)
        patched.setattr(Tensor, "new_tensor", new_tensor)
        yield


def take_steps(config: RunConfig, task: Task, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps in which every lazy phase is due; the first one may copy what it keeps."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())  # there is none on meta
    monkeypatch.setattr("advtasks.training.networks.use_device", lambda name: META)
    adam = "adam:fused=false"  # there is no fused one on meta
    adversary = dataclasses.replace(config.adversary, optimizer=adam)
    config = dataclasses.replace(config, optimizer=adam, adversary=adversary)
    networks = Networks(task, config, make_adversaries(task, config))
    guard = Guard(config, Recorder([], Console(io.StringIO())))
    step = Step(networks, config, config.stages[0], Meters(), Clock(torch.device("cpu")), guard)
    step.run(batch, 0, _ALL_DUE)
    with strictly():
        step.run(batch, 1, _ALL_DUE)


def batch_of(splits: Splits) -> Batch:
    return collated([splits.train[Position(0, number)] for number in range(ROWS)])


OF_PICTURES = {"cr", "bcr", "diffaugment", "ada"}
OF_TASKS = {*OF_PICTURES, "batch-norm", "attention", "augmentation", "ma-gp", "gan-int", "contrastive"}
NAMED = [(row, {part.partition(":")[0] for part in row}) for row in ranks_rows.rows()]
CORE = [row for row, _ in NAMED if row[0] == "points"]
PICTURES = [
    row
    for row, names in NAMED
    if row[0] != "points" and OF_TASKS & names and (row[0] == "sr" or not OF_PICTURES & names)
]


@pytest.mark.parametrize("row", [*CORE, *PICTURES], ids="+".join)
def test_every_part_stays_on_its_device(row: tuple[str, str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    config, task, splits = ranks_rows.configuration(*row)
    take_steps(config, task, batch_of(splits), monkeypatch)


@pytest.mark.parametrize("task", ranks_rows.PIECES)
def test_pieces_and_clipping_stay_on_their_device(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, made, splits = ranks_rows.configuration(task, "hinge", "r1", "")
    config = dataclasses.replace(config, accumulate=2, clip_norm=1.0, monitor="warn")
    take_steps(config, made, batch_of(splits), monkeypatch)


def super_resolution(**options: Any) -> tuple[SuperResolutionConfig, SuperResolution]:
    config, _, _ = ranks_rows.configuration("sr", "hinge", "", "")
    assert isinstance(config, SuperResolutionConfig)
    config = dataclasses.replace(config, **options)
    return config, SuperResolution(config)


def test_every_picture_loss_stays_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = dict.fromkeys([*PICTURE_LOSSES, "perceptual"], 1.0)
    stages = tuple(dataclasses.replace(stage, weights=weights) for stage in ranks_rows.STAGES)
    config, task = super_resolution(stages=stages, patch=48, sharpen_target=True)
    low, high = (torch.zeros(ROWS, side, side, 3, dtype=torch.uint8) for side in (48, 192))
    take_steps(config, task, {"low": low, "high": high}, monkeypatch)


CRITICS = {
    "vgg-style": "vgg-style:width=4:norm=none",
    "unet": "unet:width=4",
    "resnet": "resnet:width=4:blocks=2:attention=true:minibatch=stddev",
    "minibatch discrimination": "resnet:width=4:blocks=2:minibatch=discrimination",
    "projected": "projected:width=4",
    "wavelet": "wavelet:width=4",
    "orthonormal wavelet": "wavelet:width=4:transform=orthonormal",
    "autoencoder": "autoencoder:width=4",
}


@pytest.mark.parametrize("name", CRITICS)
def test_every_critic_stays_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a mixture of two that judge pairs of samples, under a penalty, with label smoothing."""
    config, _ = super_resolution(patch=16)
    projected = name == "projected"
    alone = projected or "wavelet" in name
    adversary = dataclasses.replace(
        config.adversary, discriminator=CRITICS[name], critics=2, pack=1 if alone else 2,
        regularizers=() if projected else ("r1", "spectral-norm"), loss="ebgan" if name == "autoencoder" else "minimax",
        label_smoothing=0.0 if name == "autoencoder" else 0.1, clip_norm=1.0,
    )  # fmt: skip
    config = dataclasses.replace(config, adversary=adversary)
    low, high = (torch.zeros(ROWS, side, side, 3, dtype=torch.uint8) for side in (16, 64))
    take_steps(config, SuperResolution(config), {"low": low, "high": high}, monkeypatch)


@pytest.mark.parametrize("name", ["srresnet:features=4:blocks=1:tail=direct", "rrdb:features=4:blocks=1:growth=4",
                                  "compact:features=4:convolutions=1", "span:features=4", "safmn:features=8:blocks=1"])  # fmt: skip
def test_every_generator_of_super_resolution_stays_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, task = super_resolution(patch=16, generator=name)
    low, high = (torch.zeros(ROWS, side, side, 3, dtype=torch.uint8) for side in (16, 64))
    take_steps(config, task, {"low": low, "high": high}, monkeypatch)


@pytest.mark.parametrize("name", ["", "realesrgan", "photo", "blur"])
def test_low_sides_are_made_without_waiting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, task = super_resolution(degradation=name or "bicubic", patch=16)
    side = (config.patch + 2 * task.low_side.margin) * config.scale
    high = torch.zeros(ROWS, side, side, 3, dtype=torch.uint8)
    take_steps(config, task, {"high": high}, monkeypatch)


TRANSLATIONS: Mapping[str, Mapping[str, Any]] = {
    **{
        name: {"make_input": name, "input_pixels": json.dumps(dataclasses.asdict(made_pixels(name)))} for name in MAKERS
    },
    "labels": {"make_input": "none", "noise": 0, "input_pixels": LABELS, "scales": 2},
    "label targets": {
        "make_input": "none",
        "noise": 0,
        "input_pixels": LABELS,
        "target_pixels": LABELS,
        "stages": (dataclasses.replace(ranks_rows.STAGES[0], weights={"l1": 1.0, "perceptual": 0.1}),),
    },
    **ranks_shares.GENERATORS,
}


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_inputs_of_translation_are_made_without_waiting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _, _ = ranks_rows.configuration("pix2pix", "hinge", "feature-matching", "")
    assert isinstance(config, TranslationConfig)
    generator = {"generator": name} if name in ranks_shares.GENERATORS else {}
    config = dataclasses.replace(config, **{**generator, **TRANSLATIONS[name], "crop": 64})
    batch = batch_of(Splits(Pairs(made=config.make_input != "none", side=config.crop), []))
    if name == "label targets":
        batch["target"] = batch["input"]
    take_steps(config, Translation(config), batch, monkeypatch)


THERE, HERE = torch.zeros(4, 4, device=META), torch.zeros(4, 4)


@pytest.mark.parametrize(
    "waiting",
    [
        lambda: THERE @ HERE,
        lambda: THERE[torch.tensor([0, 1])],
        lambda: HERE.to(META),
        lambda: THERE.copy_(HERE),
        lambda: THERE[THERE > 0],
        lambda: math.isfinite(THERE.sum()),
        lambda: torch.tensor([1.0, 2.0], device=META),
        lambda: THERE.new_tensor([1.0, 2.0]),
    ],
)
def test_the_check_sees_what_a_gpu_would_wait_for(waiting: Callable[[], object]) -> None:
    with strictly(), pytest.raises((AssertionError, NotImplementedError, RuntimeError)):
        waiting()


def test_the_check_lets_the_rest_through() -> None:
    with strictly():
        THERE.copy_(HERE, non_blocking=True)
        moved = HERE.to(META, non_blocking=True)
        assert (THERE * torch.tensor(2.0) + moved).device == META
