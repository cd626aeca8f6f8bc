"""Pictures that have a right answer: a folder of outputs against a folder of references, file by file."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from advtasks.causes import is_out_of_memory
from advtasks.data.folder import EXTENSIONS, ambiguous, find_pictures, fingerprint, key_of
from advtasks.distributed import rank, world_size
from advtasks.errors import AdvtasksError, DataError, UsageError
from advtasks.evaluation.cards import Score, ScoreCard, set_hash
from advtasks.evaluation.doubts import compression
from advtasks.evaluation.folder_features import stored_format
from advtasks.evaluation.intervals import mean_interval
from advtasks.evaluation.perceptual_distance import PerceptualDistance
from advtasks.evaluation.psnr_ssim import psnr_rgb, psnr_y, ssim_rgb, ssim_y
from advtasks.features import FeatureNetwork
from advtasks.features.weight_files import preprocessing, weights_hash
from advtasks.losses import multi_scale_ssim
from advtasks.pictures.decode import read_picture
from advtasks.process_group import gathered

_ADDED = re.compile(
    r"_(x\d+(\.\d+)?|\d+x\d*|translated(-\d+)?|fake|fake_B|out|output)"
    rf"(_({'|'.join(sorted(suffix[1:] for suffix in EXTENSIONS))})(_\d+)?)?$"
)
"""What programs add to the names of their outputs, and ours to outputs of one name."""


@dataclass(frozen=True)
class PairMeasure:
    """One measure of an output and its reference."""

    name: str
    label: str
    higher_is_better: bool
    measure: Callable[[Tensor, Tensor], Tensor]
    """(N,) of RGB pictures (N, 3, H, W) in [0, 1]."""
    protocol: str = ""
    """The network that it measures with."""


def pair_measures(
    border: int, networks: Sequence[FeatureNetwork] = (), distances: Sequence[Any] = ()
) -> list[PairMeasure]:
    """PSNR and SSIM on Y and RGB, MS-SSIM of RGB, L1, and the distances given.

    Args:
        border: pixels that measures on Y crop on each side; by custom the scale of super-resolution.
        networks: for perceptual distances, which bear their names.
        distances: :class:`advtasks.losses.LPIPS`, :class:`advtasks.losses.DISTS`.
    """
    found = [
        PairMeasure("psnr_y", f"PSNR-Y (dB), {border} px cropped", True, lambda x, y: psnr_y(x, y, border)),
        PairMeasure("ssim_y", f"SSIM-Y, {border} px cropped", True, lambda x, y: ssim_y(x, y, border)),
        PairMeasure("psnr_rgb", "PSNR-RGB (dB)", True, psnr_rgb),
        PairMeasure("ssim_rgb", "SSIM-RGB", True, ssim_rgb),
        PairMeasure("ms_ssim", "MS-SSIM-RGB", True, multi_scale_ssim),
        PairMeasure("l1", "L1 (levels of 255)", False, lambda x, y: 255 * (x - y).abs().mean((1, 2, 3))),
    ]
    for network in networks:
        label = f"perceptual distance ({network.name})"
        stated = f"weights sha256 {weights_hash(network)}, {preprocessing(network)}"
        found.append(PairMeasure(f"distance_{network.name}", label, False, PerceptualDistance(network), stated))
    for distance in distances:
        stated = f"{distance.protocol}, weights sha256 {weights_hash(distance)}"
        found.append(PairMeasure(distance.name.replace("-", "_"), distance.name.upper(), False, distance, stated))
    return found


def paired_files(outputs: Path, references: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Outputs with their references, by the path below the folder without its ending, and what was left over. An
    output may bear an addition: ``_x4``, ``_translated``, ``_fake``, ``_out``.

    Raises:
        DataError: no file has a partner, or two references have one name.
    """
    known: dict[str, Path] = {}
    for path in find_pictures(references).pictures:
        other = known.setdefault(key(path, references), path)
        if other != path:
            raise DataError(ambiguous(path, other))
    found, alone = [], []
    for path in find_pictures(outputs).pictures:
        name = key(path, outputs)
        reference = known.get(name) or known.get(_ADDED.sub("", name))
        if reference is None:
            alone.append(path)
        else:
            found.append((path, reference))
    if not found:
        raise DataError(f"no picture of {outputs} bears the name of one of {references}")
    notes = []
    if alone:
        notes.append(f"{len(alone)} outputs have no reference of their name: {alone[0].name}")
    if more := [path for path, count in Counter(reference for _, reference in found).items() if count > 1]:
        notes.append(f"{len(more)} references have several outputs, each of which counts: {more[0].name}")
    missing = set(known.values()) - {reference for _, reference in found}
    if missing:
        notes.append(f"{len(missing)} references have no output: {min(missing).name}")
    return found, notes


def key(path: Path, folder: Path) -> str:
    """What files of two folders are matched by."""
    return key_of(path, folder)


@torch.inference_mode()
def paired_card(
    outputs: Path,
    references: Path,
    measures: Sequence[PairMeasure],
    device: torch.device,
    watch: Callable[[str, int, int], None] = lambda what, done, count: None,
    protocol: dict[str, Any] | None = None,
    name: str | None = None,
) -> ScoreCard:
    """Means over the pairs with Student's intervals of 95 %; for PSNR the mean of dB. Several ranks share the pairs.

    A pair that cannot be read, or whose sizes differ, is passed over with a warning; so is a measure for a pair that it
    cannot take, such as a picture that is too small for its network.

    Raises:
        DataError: no pair can be measured.
    """
    pairs, warnings = paired_files(outputs, references)
    mine: list[_Measured | str] = []
    for number in range(rank(), len(pairs), world_size()):
        try:
            mine.append(_measured(*pairs[number], measures, device))
        except (AdvtasksError, ValueError, OSError) as error:
            mine.append(f"passed over: {error}")
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            mine.append(f"passed over: {pairs[number][0]}: not enough memory to measure it")
        watch(f"measuring {outputs.name}", min(number + world_size(), len(pairs)), len(pairs))
    parts = gathered(mine)
    every = [parts[number % len(parts)][number // len(parts)] for number in range(len(pairs))]
    found = [one for one in every if isinstance(one, _Measured)]
    warnings += [one for one in every if isinstance(one, str)]
    if not found:
        raise DataError("\n  ".join([f"{outputs}: no pair could be measured", *warnings[:5]]))
    values = torch.tensor([one.values for one in found], dtype=torch.float64)
    scores = []
    for column, measure in enumerate(measures):
        taken = [row for row, one in enumerate(found) if column not in one.refusals]
        refused = [one.refusals[column] for one in found if column in one.refusals]
        if refused:
            warnings.append(f"{measure.label}: {len(refused)} of {len(found)} pairs cannot be measured: {refused[0]}")
        if taken:
            scores.append(_score(measure, values[taken, column].contiguous()))
    formats = [Counter(one.formats[side] for one in found) for side in (0, 1)]
    stated = {
        "pairs": len(found),
        "references": f"{len(found)} files, sha256 {set_hash([one.reference for one in found])}",
        "format of outputs": ", ".join(sorted(formats[0])),
        "format of references": ", ".join(sorted(formats[1])),
        **(protocol or {}),
    }
    doubts = (*compression(*formats), *warnings)
    return ScoreCard(name or outputs.name, stated, tuple(scores), doubts)


@dataclass(frozen=True)
class _Measured:
    values: list[float]
    formats: tuple[str, str]
    """Of output and reference."""
    reference: str
    """Fingerprint of its file."""
    refusals: dict[int, str]
    """Why measures could not be taken, by their numbers."""


def _score(measure: PairMeasure, values: Tensor) -> Score:
    found = Score.of(measure.name, measure.label, mean_interval(values), measure.higher_is_better)
    return replace(found, protocol=measure.protocol)


def _measured(output: Path, reference: Path, measures: Sequence[PairMeasure], device: torch.device) -> _Measured:
    one, other = (
        torch.from_numpy(read_picture(path).rgb8().copy()).permute(2, 0, 1)[None].to(device).float() / 255
        for path in (output, reference)
    )
    if one.shape != other.shape:
        sizes = [f"{picture.shape[3]}x{picture.shape[2]}" for picture in (one, other)]
        raise UsageError(f"{output}: {sizes[0]} pixels, and its reference {reference.name} has {sizes[1]}")
    values, refusals = [], {}
    for column, measure in enumerate(measures):
        try:
            values.append(float(measure.measure(one, other)))
        except (AdvtasksError, ValueError) as error:
            values.append(math.nan)
            refusals[column] = f"{output}: {error}"
    if len(refusals) == len(measures):
        raise UsageError(next(iter(refusals.values())))
    return _Measured(values, (stored_format(output), stored_format(reference)), fingerprint(reference), refusals)
