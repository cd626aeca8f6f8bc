"""Import torchvision beside a CPU-only torch.

The registry's torchvision is built for CUDA. Beside a CPU build of torch its compiled parts do not load, and
``import torchvision`` ends with ``operator torchvision::nms does not exist``. Its Python parts (networks, transforms)
need only the *schemas* of two operators: they are declared here, without implementation, and only then. A torchvision
that imports is left alone.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[object] = []  # the library object undeclares its operators when it is collected


def import_torchvision() -> ModuleType:
    """torchvision, with the missing schemas declared where its compiled operators cannot be loaded.

    Call it before importing anything that imports torchvision itself (timm, torchmetrics, transformers' models).
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    import torch

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module("torchvision")
