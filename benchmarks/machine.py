"""What a benchmark ran on: two machines of as many cores are not alike when one computes with bfloat16."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def machine(device: torch.device) -> str:
    """The GPU, or cores, processor and the instructions that matter."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    known = processor()
    flags = known.get("flags", known.get("Features", "")).split()
    found = [name for name in INSTRUCTIONS if name in flags]
    return ", ".join(
        [f"{os.cpu_count()} cores", platform.machine(), known.get("model name", "unknown processor"), " ".join(found)]
    )


def processor() -> dict[str, str]:
    """The fields of the first processor in ``/proc/cpuinfo``."""
    info = Path("/proc/cpuinfo")
    first = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first)}
