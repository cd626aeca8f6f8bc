"""How a data folder is laid out, as ``advtasks data check`` tells it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What was recognised in a folder.

    Attributes:
        name: short, for example ``pictures`` or ``hr + lr pairs``.
        explanation: one sentence on what training will do with it.
        roles: the files of each role, for example ``{"high resolution": (...), "low resolution x4": (...)}``.
        ignored: files that play no role.
        problems: what keeps files from being used, each naming the file; training stops on these, or warns where the
            rest can be used without.
        notes: what a user should look at; training goes on.
    """

    name: str
    explanation: str
    roles: dict[str, tuple[Path, ...]]
    ignored: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
