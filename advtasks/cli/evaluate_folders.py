"""The part of ``advtasks evaluate`` for folders of pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from advtasks import components
from advtasks.allocator import keep_freed_memory
from advtasks.cli.evaluate_names import beside, distinct_names
from advtasks.cli.evaluate_options import Evaluate
from advtasks.data.cache import PictureCache
from advtasks.data.captions import NoCaptions, find_captions
from advtasks.devices import use_device
from advtasks.distributed import rank
from advtasks.errors import UsageError
from advtasks.evaluation.captioned import captions_of, with_text_scores
from advtasks.evaluation.cards import ScoreCard, card_table, check_comparable
from advtasks.evaluation.copies import Neighbors, neighbors
from advtasks.evaluation.distributions import distribution_card
from advtasks.evaluation.folder_features import FolderFeatures, folder_features
from advtasks.evaluation.paired import pair_measures, paired_card
from advtasks.features.dual_encoder import DualEncoder
from advtasks.pictures.decode import read_picture
from advtasks.process_group import from_first, joined
from advtasks.reporting.pictures import CELL, save_contact_sheet
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
        names = distinct_names(options.models)
        cards: list[ScoreCard] = []
        try:
            for card in _paired(options, names, console) if options.paired else _distributions(options, names, console):
                cards.append(card)
                if first and options.json is not None:
                    card.save(beside(options.json, card.name, len(names) > 1))
            check_comparable(cards)
        except BaseException:  # what was found is still worth seeing, one by one
            for card in cards if first else ():
                _print([card])
            raise
    if first:
        _print(cards)
    return 0


def _print(cards: Sequence[ScoreCard]) -> None:
    print(card_table(cards))
    for card in cards:
        for warning in card.warnings:
            print(f"warning: {card.name}: {warning}")


def _paired(options: Evaluate, names: Sequence[str], console: Console) -> Iterator[ScoreCard]:
    device = use_device(options.device)
    network = components.build("features", options.backbone or "efficientnet-lite2").to(device)
    distances = [components.build("distances", text).to(device) for text in options.distances]
    measures = pair_measures(options.border, [network], distances)
    for folder, name in zip(options.models, names, strict=True):
        yield paired_card(folder, options.data, measures, device, console.watch, {"border": options.border}, name)


def _distributions(options: Evaluate, names: Sequence[str], console: Console) -> Iterator[ScoreCard]:
    device = use_device(options.device)
    network = components.build("features", options.backbone or "efficientnet-lite0", classify=True).to(device)
    cache = PictureCache(options.cache, options.cache_gib, console.watch)
    real = folder_features(options.data, network, cache)
    train = None if options.train is None else folder_features(options.train, network, cache)
    dual = None
    if options.dual_encoder:
        dual = DualEncoder(components.build("features", options.dual_encoder).to(device))
    for folder, name in zip(options.models, names, strict=True):
        fake = folder_features(folder, network, cache)

        def card(folder: Path = folder, name: str = name, fake: FolderFeatures = fake) -> ScoreCard:
            near = neighbors(fake, train or real)
            try:
                found = distribution_card(
                    name, fake, real, network, train, options.seed, options.splits, near, console.watch
                )
            except ValueError as error:
                raise UsageError(f"{folder}: {error}") from None
            if options.neighbors is not None:
                target = beside(options.neighbors, name, len(names) > 1)
                _draw_neighbors(target, fake, train or real, near)
                console.say(f"nearest training pictures: {target}")
            return found

        found = from_first(card)
        yield _captioned(found, folder, options, dual, cache) if dual else found
    if rank() == 0:
        cache.prune()


def _captioned(
    card: ScoreCard, folder: Path, options: Evaluate, encoder: DualEncoder, cache: PictureCache
) -> ScoreCard:
    fake = folder_features(folder, encoder.network, cache)

    def scored() -> ScoreCard:
        said = captions_of(fake.paths, folder, options.data)
        others: list[str] = []
        with contextlib.suppress(NoCaptions):  # the real pictures need none
            others = [item.captions[0] for item in find_captions(options.data).items]
        return with_text_scores(card, fake, said, others, encoder, options.seed)

    return from_first(scored)


def _whole(path: Path) -> Tensor:
    """A picture, all of it, in a cell of the sheet."""
    image = ImageOps.pad(Image.fromarray(read_picture(path).rgb8()), (CELL, CELL), color="white")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _draw_neighbors(target: Path, fake: FolderFeatures, real: FolderFeatures, near: Neighbors) -> None:
    rows: list[dict[str, Tensor]] = []
    for row in near.distances[:, 0].argsort()[:SHOWN].tolist():
        pair = (fake.paths[row], real.paths[int(near.numbers[row, 0])])
        rows.append(dict(zip(("generated", "nearest training picture"), map(_whole, pair), strict=True)))
    save_contact_sheet(target, rows)
