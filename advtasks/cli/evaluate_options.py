"""The options of ``advtasks evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure models on all pictures of a folder, beside the task's baseline; or, given folders of generated pictures
    of whatever program, how their distribution compares with that of the real ones (or, with --paired, each picture
    with the one of the same name).

    Scores of folders are stored with all that moves them (--json), and `advtasks compare` refuses to compare what was
    measured in different ways. Under torchrun the processes share the work.
    """

    models: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders or bundles of one task, or folders of generated pictures; several are printed side by side."""
    data: Path
    """Folder of pictures, laid out as for training; those for validation are measured where it divides them, else
    all. For folders: the real pictures."""
    json: Path | None = None
    """Also write all values and the protocol to this file; for several folders, one NAME-FOLDER.json each."""
    backbone: str | None = None
    """Of folders: frozen network whose features are compared; scores bear its name. By default efficientnet-lite0, and
    with --paired efficientnet-lite2, which no preset trains against. Others: inception-v3:weights=FILE,
    torchvision:model=NAME:weights=FILE, transformers:model=FOLDER."""
    paired: bool = False
    """Folders only: compare each picture with that of the same name (an addition such as _x4 is understood)."""
    border: int = 4
    """With --paired: pixels that PSNR and SSIM on Y crop on each side, by custom the scale."""
    distances: tuple[str, ...] = ()
    """Of models and with --paired: lpips:trunk=FILE:heads=FILE, dists:trunk=FILE:weights=FILE."""
    train: Path | None = None
    """Of folders: the training pictures, where --data holds others: copies are looked for among them."""
    neighbors: Path | None = None
    """Of folders: also write a picture of the fakes nearest to a training picture, with that picture (JPEG)."""
    dual_encoder: str = ""
    """Of folders with captions: also CLIP score and R-precision, by transformers:model=FOLDER of a CLIP. Captions are
    found as for training; those of --data are taken by name where the folder has none."""
    splits: int = 1
    """Of the inception score; the papers take 1 or 10."""
    seed: int = 0
    """Of sub-sets, projections and pairs."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    cache_gib: float = 50.0
    """The most that --cache may hold; 0 keeps nothing."""
    cache: Path | None = None
    """Folder of decoded pictures and features, as in training."""
