"""``advtasks doctor``: versions, devices, plugins, and what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

import tyro

_OPTIONAL = {
    "tensorboard": ("tensorboard", "curves in TensorBoard"),
    "onnx": ("onnx", "exporting to ONNX"),
    "onnxscript": ("onnx", "exporting to ONNX"),
    "onnxruntime": ("onnx", "ONNX models"),
    "av": ("video", "videos"),
    "datasets": ("datasets", "Hugging Face data sets"),
}
"""Modules, our extra that brings them, and what they are for."""
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Show versions, devices, plugins, the picture cache, and what is missing. Exit code 1 if something is."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    tyro.cli(Doctor, prog="advtasks doctor", args=argv)
    problems = []
    required = [_NAME.match(line)[0] for line in requires("advtasks") or () if "extra ==" not in line]  # type: ignore[index]
    wide = max(map(len, required))
    print(f"{'advtasks':<{wide}} {version('advtasks')}")
    print(f"{'python':<{wide}} {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in required:
        try:
            print(f"{name:<{wide}} {version(name)}")
        except PackageNotFoundError:
            print(f"{name:<{wide}} MISSING")
            problems.append(f"{name} is missing: pip install {name}")
    providers = packages_distributions()
    for name, (extra, use) in _OPTIONAL.items():
        found = [version(one) for one in providers.get(name, ())]  # onnxruntime-gpu brings onnxruntime
        state = found[0] if found else f"not installed ({use}: pip install 'advtasks[{extra}]')"
        print(f"{name:<{wide}} {state}")
    print()
    problems += _devices() + _torchvision() + _plugins()
    _cache()
    print("\n" + ("\n".join(f"problem: {problem}" for problem in problems) or "all is well"))
    return 1 if problems else 0


def _devices() -> list[str]:
    try:
        import torch

        from advtasks.devices import computes_bf16
    except (ImportError, OSError) as error:
        return [f"torch cannot be imported ({error})"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    bf16 = "computes bf16" if computes_bf16(torch.device("cpu")) else "no bf16 arithmetic, so fp32 is used"
    print(f"cpu            {cores} cores, {torch.get_num_threads()} threads, {bf16}")
    if not torch.cuda.is_available():
        print("cuda           not available")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        print(f"cuda:{index}         {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    return []


def _torchvision() -> list[str]:
    from advtasks.torchvision_operators import import_torchvision

    try:
        module = import_torchvision()
    except (ImportError, RuntimeError) as error:
        return [f"torchvision cannot be imported ({error})"]
    operators = "compiled" if module.extension._has_ops() else "schemas only (CPU torch beside a CUDA build)"
    print(f"vision ops     {operators}")
    return []


def _plugins() -> list[str]:
    from advtasks.plugins import plugins

    found = plugins()
    print(f"plugins        {', '.join(f'{plugin.name} {plugin.version}' for plugin in found.loaded)}")
    return found.report_broken()


def _cache() -> None:
    from advtasks.data.cache import default_folder

    folder = default_folder()
    size = sum(path.stat().st_size for path in folder.glob("*/*")) if folder.is_dir() else 0
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    print(f"picture cache  {folder}: {size / 2**30:.2f} GiB, {free / 2**30:.0f} GiB free")
