"""``RUN/stages/STAGE-best-STEP.safetensors``: the networks of the best validations of ``--keep-best``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from advtasks.bundle import BEST


class BestBundles:
    """Of one run.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "stages"

    def path(self, stage: str, step: int) -> Path:
        """Where that of `step` is or will be."""
        return self.folder / f"{stage}-best-{step:08d}.safetensors"

    def of(self, stage: str) -> list[Path]:
        """All that are there, by their steps."""
        found = ((path, BEST.fullmatch(path.stem)) for path in self.folder.glob("*.safetensors"))
        return sorted(path for path, match in found if match and match["stage"] == stage)

    def forget(self, stage: str, step: int, best: bool, checkpoints: Iterable[int]) -> None:
        """After each validation, the one of `step`: remove those that were taken back by a roll-back, and those that
        are overtaken, neither the best now nor where training may be rolled back to (before or after the validation in
        the same step)."""
        every = {int(path.stem.rpartition("-")[2]): path for path in self.of(stage)}
        past = [number for number in every if number < step or (number == step and best)]
        ends = (step, *checkpoints)
        wanted = {max((s for s in past if s <= end), default=None) for one in ends for end in (one, one - 1)}
        for number, path in every.items():
            if number not in wanted:
                path.unlink(missing_ok=True)

    def keep_only(self, stage: str, step: int) -> None:
        """At the end of a stage: the best is that of `step`; a full disk may have refused it, then the newest."""
        every, kept = self.of(stage), self.path(stage, step)
        for path in every[:-1] if kept not in every else every:
            if path != kept:
                path.unlink()
