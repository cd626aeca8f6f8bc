"""Device and precision of a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.amp import GradScaler

from advtasks.errors import UsageError

FIRST_SCALE = 2.0**16
"""Of the losses of float16."""


def choose_device(name: str) -> torch.device:
    """The device that `name` means; ``auto`` takes a GPU where there is one.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: use cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(
            f"device {name!r}: training runs on cpu and cuda; an output of `advtasks export` runs elsewhere"
        )
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"device {name!r} is not here; `advtasks doctor` lists what is")
    return device


def use_device(name: str) -> torch.device:
    """Choose a device and :func:`settle_on` it.

    Raises:
        UsageError: no such device here.
    """
    device = choose_device(name)
    settle_on(device)
    return device


def threads_of(processes: int) -> int:
    """Threads of each of several processes that share this machine's cores, unless OMP_NUM_THREADS says otherwise."""
    return max(1, (os.cpu_count() or 1) // processes)


def settle_on(device: torch.device) -> None:
    """Make a GPU the current one, and float32 mean float32 in its convolutions: by default torch rounds their inputs to
    the 10 bits of TF32, penalties' and metrics' too."""
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has bfloat16 arithmetic, so that bf16 is fast and not only possible."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def choose_precision(name: str, device: torch.device) -> str:
    """``fp32``, ``bf16`` or ``fp16``; ``auto`` is bf16 where the device computes with it."""
    if name == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    return name


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[Any]]:
    """A maker of contexts in which the main losses are computed."""
    if precision == "fp32":
        return contextlib.nullcontext
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return lambda: torch.autocast(device.type, dtype=dtype)


def scaler(device: torch.device, precision: str) -> GradScaler | None:
    """A loss scaler where the precision needs one: float16 does, bfloat16 has the range of float32."""
    return GradScaler(device.type, init_scale=FIRST_SCALE) if precision == "fp16" else None
