"""Checkpoints: everything that makes a resumed run bit-identical, written atomically, verified when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from advtasks.atomic import atomic_path, write_text
from advtasks.causes import said
from advtasks.errors import TrainingError

_NAME = re.compile(r"step-(\d{8})\.pt")


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run: ``step-00000200.pt``, and beside each a ``.json`` with its sha256.

    The JSON file is written last: a checkpoint without it was never finished.
    """

    folder: Path
    kept: int = 2

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint, then remove the oldest beyond :attr:`kept`.

        Raises:
            OSError: the disk is full or cannot be written; earlier checkpoints are untouched.
        """
        path = self.folder / f"step-{step:08d}.pt"
        recorded: dict[str, Any] = {"step": step}
        if shards := {part.name: _sha256(part) for part in sorted(self.shards(step).glob("*"))}:
            recorded["shards"] = shards
        try:
            with atomic_path(path) as temporary:
                with temporary.open("wb") as file:  # through Python's file, which says why a write fails
                    torch.save(state, file)
                recorded["sha256"] = _sha256(temporary)
                if path.exists():  # a roll-back writes a good one anew; a kill may come before or after it has
                    self._note(path, {**recorded, "before": _sha256(path)})
        except (OSError, RuntimeError) as error:  # torch may wrap the failed write
            if not path.exists():
                shutil.rmtree(self.shards(step), ignore_errors=True)  # of no use alone, and the disk may be full
            raise OSError(f"the checkpoint could not be written ({_cause(error)})") from error
        self._note(path, recorded)
        self._remove_old()
        return path

    def _note(self, path: Path, recorded: dict[str, Any]) -> None:
        write_text(path.with_suffix(".json"), json.dumps(recorded) + "\n")

    def shards(self, step: int) -> Path:
        """Where the ranks' shares of a sharded generator go, beside the checkpoint of `step`, before it is written."""
        return self.folder / f"step-{step:08d}.shards"

    def _remove(self, path: Path) -> None:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        shutil.rmtree(path.with_suffix(".shards"), ignore_errors=True)

    def _remove_old(self) -> None:
        """Keep the newest finished ones; what a kill left half-written goes, too."""
        for left_over in self.folder.glob(".*.tmp*"):
            if left_over.is_dir():
                shutil.rmtree(left_over, ignore_errors=True)
            else:
                left_over.unlink(missing_ok=True)
        for shares in self.folder.glob("*.shards"):
            if not shares.with_suffix(".pt").exists():
                shutil.rmtree(shares, ignore_errors=True)
        finished = [path for path in self._all() if path.with_suffix(".json").exists()]
        for old in self._all():
            if old < finished[-self.kept :][0]:
                self._remove(old)

    def latest(self, say: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest checkpoint that is whole; others are named through `say`. None if none was ever finished.

        Raises:
            TrainingError: checkpoints were finished, and all of them are damaged.
        """
        paths = self._all()
        for path in reversed(paths):
            problem = _problem(path)
            if problem is None:
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                return state
            say(f"{path}: {problem}; falling back to what was before it")
        lost = sorted({path.with_suffix(".pt") for path in self.folder.glob("step-*.json")} - {*paths})
        for path in lost:
            say(f"{path}: missing, though it was finished")
        if lost or any(path.with_suffix(".json").exists() for path in paths):
            raise TrainingError(f"{self.folder}: every checkpoint is damaged or gone; start a new run")
        return None

    def forget(self, step: int) -> None:
        """Remove the checkpoint of `step`, unless it is the only one: training failed from there twice, so it may be
        spoiled itself."""
        path = self.folder / f"step-{step:08d}.pt"
        if path in self._all()[1:]:
            self._remove(path)

    def steps(self) -> list[int]:
        """Of the checkpoints that are there."""
        return [int(path.stem[5:]) for path in self._all()]

    def describe_latest(self) -> str:
        """Where the last good checkpoint is, as a sentence."""
        good = [path for path in self._all() if path.with_suffix(".json").exists()]
        return f"The last good checkpoint is {good[-1]}." if good else "No checkpoint had been written yet."

    def _all(self) -> list[Path]:
        """All checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))


def _cause(error: BaseException) -> str:
    """What the system said, from however deep: torch raises an error of its own over it."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__cause__ or link.__context__
    return said(error)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and _sha256(path) == digest


def _problem(path: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        recorded = json.loads(path.with_suffix(".json").read_text())
        shards = path.with_suffix(".shards")
        wrong = [name for name, digest in recorded.get("shards", {}).items() if not _is(shards / name, digest)]
        if wrong:
            return f"damaged (missing or not as written: {', '.join(wrong[:3])} of its shards)"
        known = (recorded["sha256"], recorded.get("before"))
        return None if _sha256(path) in known else "damaged (its sha256 does not match)"
    return "unfinished (its .json is missing or unreadable)"
