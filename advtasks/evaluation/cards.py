"""Score cards: numbers that know how they were measured, and are not compared with others measured otherwise."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advtasks.atomic import write_text
from advtasks.causes import said
from advtasks.errors import DataError, UsageError
from advtasks.finite import finite

if TYPE_CHECKING:
    from advtasks.evaluation.intervals import Estimate


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
    protocol: str = ""
    """What moves this number alone without the pictures being better or worse: the weights of its network."""

    @classmethod
    def of(cls, name: str, label: str, found: Estimate, higher_is_better: bool) -> Score:
        """An estimate, whose interval may not be there."""
        low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
        return cls(name, label, found.value, higher_is_better, low, high)

    @property
    def text(self) -> str:
        """For a table."""
        value = f"{self.value:.4g}"
        return value if self.low is None else f"{value} ({self.low:.4g} to {self.high:.4g})"


def code_version() -> str:
    """The programs that decode, compute and measure."""
    return ", ".join(f"{name} {version(name)}" for name in ("advtasks", "torch", "Pillow"))


@dataclass(frozen=True)
class ScoreCard:
    """The numbers of one set of pictures."""

    name: str
    protocol: dict[str, Any]
    """All that moves the numbers without the pictures being better or worse."""
    scores: tuple[Score, ...]
    warnings: tuple[str, ...] = ()
    """What keeps the numbers from saying what they seem to say."""
    code: str = field(default_factory=code_version)
    """The programs that measured; their way of measuring is part of the protocol."""

    def score(self, name: str) -> Score | None:
        """By its name."""
        return next((score for score in self.scores if score.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """For a file. JSON knows no infinity: null stands for it, with what is printed beside it."""
        found = dataclasses.asdict(self)
        for score in found["scores"]:
            if not math.isfinite(score["value"]):
                score["printed"] = str(score["value"])
        return {"score_card": 1, **finite(found)}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> ScoreCard:
        """What :meth:`as_json` gave.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it did not give that.
        """
        if found["score_card"] != 1:
            raise ValueError("of another version")
        scores = []
        for score in found["scores"]:
            printed = score.pop("printed", None)
            scores.append(Score(**{**score, "value": float(score["value"] if printed is None else printed)}))
        return cls(found["name"], found["protocol"], tuple(scores), tuple(found["warnings"]), found["code"])

    def save(self, path: Path) -> None:
        """As JSON."""
        write_text(path, json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> ScoreCard:
        """A saved one; the first, where there are several.

        Raises:
            DataError: it is none.
        """
        return load_cards(path)[0]


def set_hash(contents: Iterable[str]) -> str:
    """Of the fingerprints of files, in whatever order; 12 hexadecimal digits."""
    return hashlib.sha256(" ".join(sorted(contents)).encode()).hexdigest()[:12]


def load_cards(path: Path) -> list[ScoreCard]:
    """The cards of a file of ``advtasks evaluate --json``: one of a folder, or one for each of several models.

    Raises:
        DataError: there are none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        cards = [ScoreCard.from_json(card) for card in found.get("cards", [found])]
        if not cards:
            raise ValueError("empty")
        return cards
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({said(error)})") from error
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
        lines = [
            f"  {key}: {first.protocol.get(key, 'not stated')} and {other.protocol.get(key, 'not stated')}"
            for key in keys
            if first.protocol.get(key) != other.protocol.get(key)
        ]
        for score in first.scores:
            same = other.score(score.name)
            if same is not None and same.protocol != score.protocol:
                lines.append(f"  {score.label}: {score.protocol or 'not stated'} and {same.protocol or 'not stated'}")
        if lines:
            raise UsageError(
                f"{first.name} and {other.name} cannot be compared: they were measured in different ways\n"
                + "\n".join(lines)
            )


def card_table(cards: Sequence[ScoreCard]) -> str:
    """Scores by row, matched by name, cards by column; the best of a row bears a star. Below it, which scores are not
    on all cards."""
    rows, notes = [["", *(card.name for card in cards)]], []
    for name in dict.fromkeys(score.name for card in cards for score in card.scores):
        found = [card.score(name) for card in cards]
        there = [one for one in found if one is not None]
        known = [one.value for one in there if not math.isnan(one.value)]
        best = (max if there[0].higher_is_better else min)(known, default=None)
        arrow = "↑" if there[0].higher_is_better else "↓"
        cells = [
            "—" if one is None else one.text + ("*" if len(there) > 1 and one.value == best else "") for one in found
        ]
        rows.append([f"{there[0].label} {arrow}", *cells])
        missing = [card.name for card, one in zip(cards, found, strict=True) if one is None]
        if missing:
            notes.append(f"not on the card of {', '.join(missing)}: {there[0].label}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:], *notes])
