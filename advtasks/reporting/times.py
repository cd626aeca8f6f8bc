"""Where the time of a run went, read from its records, and how times are written."""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

PARTS = ("data", "prepare", "discriminator", "generator", "penalty", "other")
"""Waiting for the loader; copying to the device and preparing; the phases; logging and all else."""


def duration(seconds: float) -> str:
    """``42 s``, ``3:05`` or ``2:10:00``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@dataclass
class StageTimes:
    """Mean seconds of a step by part, and seconds spent on the baseline and validation, in one stage."""

    stage: str
    steps: int = 0
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    evaluation: float = 0.0
    memory_gib: float = 0.0

    @property
    def step(self) -> float:
        """Seconds of a step, all parts together."""
        return sum(self.parts.values())

    @property
    def evaluation_share(self) -> float:
        """Validation's share of the stage's time."""
        whole = self.step * self.steps + self.evaluation
        return self.evaluation / whole if whole else 0.0


def stage_times(records: list[dict[str, Any]]) -> list[StageTimes]:
    """By stage, in the order of the run; stages of older runs that recorded no times are left out."""
    found: dict[str, StageTimes] = {}
    before = 0
    for record in records:
        stage = found.setdefault(record.get("stage", ""), StageTimes(record.get("stage", "")))
        if record["kind"] in ("validation", "baseline"):
            stage.evaluation += record.get("seconds") or 0.0
        if record["kind"] == "train" and record.get("seconds/step"):
            steps = record["step"] - before
            before = record["step"]
            if steps <= 0:
                continue
            stage.memory_gib = max(stage.memory_gib, record.get("memory_gib") or 0.0)
            known = {name: record.get(f"seconds/{name}") or 0.0 for name in PARTS[:-1]}
            known["other"] = max(record["seconds/step"] - sum(known.values()), 0.0)
            for name, seconds in known.items():
                stage.parts[name] = (stage.parts[name] * stage.steps + seconds * steps) / (stage.steps + steps)
            stage.steps += steps
    return [stage for stage in found.values() if stage.steps]


def times_table(records: list[dict[str, Any]]) -> str:
    """A bar for each stage, as HTML; empty where nothing is known."""
    rows = []
    for stage in stage_times(records):
        shown = {**stage.parts, "eval": stage.evaluation / stage.steps}
        bar = "".join(
            f'<i class="{name}" style="flex-grow:{100 * seconds / max(stage.step, 1e-12):.3f}" '
            f'title="{name} {seconds * 1000:.1f} ms"></i>'
            for name, seconds in shown.items()
        )
        numbers = " · ".join(
            f'<span><i class="{name}"></i>{name} {seconds * 1000:.1f} ms</span>'
            for name, seconds in shown.items()
            if seconds >= 0.005 * stage.step
        )
        rows.append(
            f"<dt>{html.escape(stage.stage)}: {stage.step * 1000:.1f} ms a step; baseline and validation took "
            f"{stage.evaluation_share:.1%} of the time; at most {stage.memory_gib:.2f} GiB</dt>"
            f'<dd><div class="times">{bar}</div><small>{numbers}</small></dd>'
        )
    return f"<h2>Where the time went</h2><dl>{''.join(rows)}</dl>" if rows else ""
