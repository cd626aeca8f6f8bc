"""Numbers that JSON does not know: infinities and NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def finite(value: Any, instead: Callable[[float], str | None] = lambda number: None) -> Any:
    """The same through dicts and lists, with `instead` of each number that is not finite: None, or ``str``."""
    if isinstance(value, dict):
        return {key: finite(item, instead) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item, instead) for item in value]
    return instead(value) if isinstance(value, float) and not math.isfinite(value) else value
