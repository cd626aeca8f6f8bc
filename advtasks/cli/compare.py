"""``advtasks compare CARD...``: score cards side by side, if they were measured in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from advtasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Print score cards of `advtasks evaluate --json` side by side, of folders or of models.

    Exit code 2 if they were measured in different ways; the message says in which.
    """

    cards: tyro.conf.Positional[tuple[Path, ...]]
    """Two or more JSON files; one of several models is enough."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Compare, prog="advtasks compare", args=argv)
    if not options.cards:
        raise UsageError("compare takes two score cards or more: advtasks compare A.json B.json")

    from advtasks.evaluation.cards import card_table, check_comparable, load_cards

    cards = [card for path in options.cards for card in load_cards(path)]
    if len(cards) < 2:
        raise UsageError(f"{options.cards[0]} is one score card, and compare takes two score cards or more")
    check_comparable(cards)
    print(card_table(cards))
    for card in cards:
        for warning in card.warnings:
            print(f"warning: {card.name}: {warning}")
    return 0
