"""The part of ``advtasks evaluate`` for folders of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from advtasks import components
from advtasks.allocator import keep_freed_memory
from advtasks.cli.evaluate import Evaluate
from advtasks.data.cache import PictureCache
from advtasks.devices import choose_device
from advtasks.distributed import rank
from advtasks.errors import UsageError
from advtasks.evaluation.cards import ScoreCard, card_table, check_comparable
from advtasks.evaluation.distributions import distribution_card
from advtasks.evaluation.folder_features import FolderFeatures, folder_features
from advtasks.evaluation.paired import pair_measures, paired_card
from advtasks.evaluation.support import nearest
from advtasks.features.weight_files import weights_hash
from advtasks.process_group import joined
from advtasks.reporting.pictures import read_as_tensor, save_contact_sheet
from advtasks.training.progress import Console, silent

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 8
"""Rows of the picture of neighbours."""


def evaluate_folders(options: Evaluate) -> int:
    """Print the cards side by side; gives the exit code."""
    keep_freed_memory()
    with joined(options.device, timeout=600):
        first = rank() == 0
        console = Console(None if first else silent())
        cards = list(_paired(options, console) if options.paired else _distributions(options, console))
    if not first:
        return 0
    if options.json is not None:
        several = len(options.models) > 1
        for card in cards:
            card.save(options.json.with_stem(f"{options.json.stem}-{card.name}") if several else options.json)
    check_comparable(cards)
    print(card_table(cards))
    for card in cards:
        for warning in card.warnings:
            print(f"warning: {card.name}: {warning}")
    return 0


def _paired(options: Evaluate, console: Console) -> Iterator[ScoreCard]:
    device = choose_device(options.device)
    network = components.build("features", options.backbone).to(device)
    distances = [components.build("distances", text).to(device) for text in options.distances]
    measures = pair_measures(options.border, [network], distances)
    protocol = {"border": options.border, "backbone": network.name, "weights sha256": weights_hash(network)}
    for folder in options.models:
        yield paired_card(folder, options.data, measures, device, console.watch, protocol)


def _distributions(options: Evaluate, console: Console) -> Iterator[ScoreCard]:
    network = components.build("features", options.backbone, classify=True).to(choose_device(options.device))
    cache = PictureCache(options.cache, watch=console.watch)
    real = folder_features(options.data, network, cache)
    train = None if options.train is None else folder_features(options.train, network, cache)
    for folder in options.models:
        fake = folder_features(folder, network, cache)
        try:
            yield distribution_card(folder.name, fake, real, network, train, options.seed, options.splits)
        except ValueError as error:
            raise UsageError(f"{folder}: {error}") from None
        if options.neighbors is not None and rank() == 0:
            several = len(options.models) > 1
            target = options.neighbors.with_stem(f"{options.neighbors.stem}-{folder.name}")
            _draw_neighbors(target if several else options.neighbors, fake, train or real)
            console.say(f"nearest training pictures: {target if several else options.neighbors}")


def _draw_neighbors(target: Path, fake: FolderFeatures, real: FolderFeatures) -> None:
    distances, numbers = nearest(fake.features, real.features)
    rows: list[dict[str, Tensor]] = []
    for row in distances.argsort()[:SHOWN].tolist():
        pair = (fake.paths[row], real.paths[int(numbers[row])])
        rows.append(dict(zip(("generated", "nearest training picture"), map(read_as_tensor, pair), strict=True)))
    save_contact_sheet(target, rows)
