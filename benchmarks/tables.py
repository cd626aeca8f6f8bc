"""What the quality benchmarks print."""

from __future__ import annotations

import statistics


def spread(values: list[float]) -> str:
    """The mean, and the range where there are several."""
    text = f"{statistics.mean(values):.4g}"
    return text if len(values) == 1 else f"{text} ({min(values):.4g} to {max(values):.4g})"
