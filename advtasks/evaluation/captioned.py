"""Whether generated pictures show what their captions say, by a dual encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from advtasks.data.captions import NoCaptions, find_captions
from advtasks.errors import DataError
from advtasks.evaluation.cards import Score, ScoreCard, set_hash
from advtasks.evaluation.folder_features import FolderFeatures
from advtasks.evaluation.intervals import mean_interval, share_interval
from advtasks.evaluation.paired import key
from advtasks.evaluation.text_scores import clip_scores, found_texts, most_candidates
from advtasks.features.dual_encoder import DualEncoder
from advtasks.features.weight_files import recipe_hash

CANDIDATES = 100
_DIFFERENT = 1 - 1e-6
"""Cosine similarity below which two captions are not the same."""


def captions_of(paths: Sequence[Path], folder: Path, other: Path) -> dict[Path, str]:
    """The first caption of each picture of a folder: its own, or, where the folder has none, that of the picture of the
    same name in the other folder.

    Raises:
        DataError: neither folder has captions, or no picture has one.
    """
    try:
        said = {item.path: item.captions[0] for item in find_captions(folder).items}
    except NoCaptions:
        by_name = {key(item.path, other): item.captions[0] for item in find_captions(other).items}
        said = {path: by_name[name] for path in paths if (name := key(path, folder)) in by_name}
    found = {path: said[path] for path in paths if path in said}
    if not found:
        raise DataError(f"{folder}: no caption for any of its {len(paths)} pictures, nor by their names in {other}")
    return found


def with_text_scores(
    card: ScoreCard, fake: FolderFeatures, said: dict[Path, str], others: Sequence[str], encoder: DualEncoder, seed: int
) -> ScoreCard:
    """A card with the CLIP score and the R-precision of its pictures, too.

    Args:
        fake: features by the dual encoder.
        said: the captions of its files.
        others: captions that wrong ones are drawn from, beside those of the fakes.
    """
    rows = [row for row, path in enumerate(fake.paths) if path in said]
    captions = [said[fake.paths[row]] for row in rows]
    pictures, texts = fake.features[rows], encoder.texts(captions)
    pool = torch.cat((texts, encoder.texts(others))) if others else texts
    label, of = encoder.score_name, f"on {encoder.network.name}"
    scores = [Score.of("clip_score", label, mean_interval(clip_scores(pictures, texts)), True)]
    candidates, warnings = min(CANDIDATES, most_candidates(texts, pool, _DIFFERENT)), []
    if candidates < CANDIDATES:
        warnings.append(f"R-precision wants {CANDIDATES} different captions, and there are {candidates}")
    if candidates > 1:
        hits = found_texts(pictures, texts, pool, candidates, _DIFFERENT, seed)
        scores.append(Score.of("r_precision", f"R-precision among {candidates} {of}", share_interval(hits), True))
    if len(rows) < len(fake.paths):
        warnings.append(f"{len(fake.paths) - len(rows)} pictures have no caption and do not count in the {label}")
    size = encoder.network.side
    stated = (
        f"{encoder.network.name}, sha256 {recipe_hash(encoder.network)}, whole pictures resized to {size}x{size}; "
        f"{len(captions)} captions, sha256 {set_hash(captions)}; {candidates} candidates of {len(pool)}"
    )
    scores = [dataclasses.replace(score, protocol=stated) for score in scores]
    return dataclasses.replace(card, scores=(*card.scores, *scores), warnings=(*card.warnings, *warnings))
