"""Score cards: numbers that know how they were measured, and are not compared with others measured otherwise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advtasks.atomic import write_text
from advtasks.errors import DataError, UsageError


@dataclass(frozen=True)
class Score:
    """One number."""

    name: str
    label: str
    value: float
    higher_is_better: bool
    low: float | None = None
    """Of its confidence interval of 95 %, where there is one."""
    high: float | None = None

    @property
    def text(self) -> str:
        """For a table."""
        value = f"{self.value:.4g}"
        return value if self.low is None else f"{value} ({self.low:.4g} to {self.high:.4g})"


@dataclass(frozen=True)
class ScoreCard:
    """The numbers of one set of pictures."""

    name: str
    protocol: dict[str, Any]
    """All that moves the numbers without the pictures being better or worse."""
    scores: tuple[Score, ...]
    warnings: tuple[str, ...] = ()
    """What keeps the numbers from saying what they seem to say."""
    code: str = field(default_factory=lambda: f"advtasks {version('advtasks')}")
    """The program that measured; its way of measuring is part of the protocol."""

    def save(self, path: Path) -> None:
        """As JSON."""
        write_text(path, json.dumps({"score_card": 1, **dataclasses.asdict(self)}, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> ScoreCard:
        """A saved one.

        Raises:
            DataError: it is none.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.pop("score_card") != 1:
                raise ValueError("of another version")
            scores = tuple(Score(**score) for score in found["scores"])
            return cls(found["name"], found["protocol"], scores, tuple(found["warnings"]), found["code"])
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: not a score card of `advtasks evaluate --json` ({error!r})") from None


def check_comparable(cards: Sequence[ScoreCard]) -> None:
    """Nothing.

    Raises:
        UsageError: they were measured in different ways; the message says in which.
    """
    first = cards[0]
    for other in cards[1:]:
        keys = dict.fromkeys((*first.protocol, *other.protocol))
        differing = [key for key in keys if first.protocol.get(key) != other.protocol.get(key)]
        if differing:
            lines = "\n".join(
                f"  {key}: {first.protocol.get(key, 'not stated')} and {other.protocol.get(key, 'not stated')}"
                for key in differing
            )
            raise UsageError(
                f"{first.name} and {other.name} cannot be compared: they were measured in different ways\n{lines}"
            )


def card_table(cards: Sequence[ScoreCard]) -> str:
    """Scores by row, cards by column; the best of a row bears a star."""
    rows = [["", *(card.name for card in cards)]]
    for number, score in enumerate(cards[0].scores):
        same = [card.scores[number] for card in cards]
        best = (max if score.higher_is_better else min)(one.value for one in same)
        marks = ["*" if len(cards) > 1 and one.value == best else "" for one in same]
        arrow = "↑" if score.higher_is_better else "↓"
        rows.append([f"{score.label} {arrow}", *(one.text + mark for one, mark in zip(same, marks, strict=True))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])
