"""advtasks: a discriminator and an adversarial loss for any image task.

The names below are imported when they are first used, so that ``import advtasks`` stays free of torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advtasks.adversary import Adversary
    from advtasks.discriminators import MLPDiscriminator, PatchDiscriminator, UNetDiscriminator, VGGStyleDiscriminator
    from advtasks.inference.engine import ImageModel
    from advtasks.task import Judged, Task, Term, View

_HOMES = {
    "Adversary": "advtasks.adversary",
    "ImageModel": "advtasks.inference.engine",
    "Judged": "advtasks.task",
    "MLPDiscriminator": "advtasks.discriminators",
    "PatchDiscriminator": "advtasks.discriminators",
    "Task": "advtasks.task",
    "Term": "advtasks.task",
    "UNetDiscriminator": "advtasks.discriminators",
    "VGGStyleDiscriminator": "advtasks.discriminators",
    "View": "advtasks.task",
}

__all__ = [
    "Adversary",
    "ImageModel",
    "Judged",
    "MLPDiscriminator",
    "PatchDiscriminator",
    "Task",
    "Term",
    "UNetDiscriminator",
    "VGGStyleDiscriminator",
    "View",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'advtasks' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
