"""Features of all pictures of a folder, each computed once and kept by content and protocol."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures, fingerprint
from advtasks.distributed import rank, world_size
from advtasks.errors import DataError
from advtasks.evaluation.sliced_wasserstein import pyramid_patches
from advtasks.features import FeatureNetwork
from advtasks.features.weight_files import weights_hash
from advtasks.pictures.decode import picture_size, read_picture
from advtasks.process_group import gathered

BATCH = 8
"""Pictures at a time: on a processor no slower than more, in less memory."""
PATCH_SIDE = 224
"""Of the square that the patches of the sliced Wasserstein distance are cut from, whatever the backbone takes."""


@dataclass(frozen=True)
class FolderFeatures:
    """The pictures of a folder as points."""

    features: Tensor
    """(N, d) float32, in the order of the files."""
    paths: tuple[Path, ...]
    """Of the files."""
    contents: tuple[str, ...]
    """Fingerprints of the files, in the same order."""
    sizes: Counter[tuple[int, int]]
    """How many pictures have which width and height."""
    errors: tuple[str, ...] = ()
    """Files that could not be read."""
    logits: Tensor | None = None
    """(N, K) of the backbone's classes, if it knows any."""
    patches: Tensor | None = None
    """(N, levels, patches, 3, 7, 7) of Laplacian pyramids."""
    ranges: Tensor | None = None
    """(N, 2) the smallest and the largest value of each picture, in [0, 1]."""

    @property
    def formats(self) -> Counter[str]:
        """How many files have which suffix."""
        return Counter(path.suffix.lower().replace(".jpeg", ".jpg") for path in self.paths)


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """(H, W, 3) of bytes to (3, side, side) in [0, 1] by Pillow's antialiased bicubic filter on floats, one channel at
    a time, without rounding in between (Parmar et al. 2022, "clean" FID)."""
    channels = [
        np.asarray(Image.fromarray(pixels[..., c].astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC))
        for c in range(3)
    ]
    return (np.stack(channels) / np.float32(255)).clip(0, 1)


@dataclass
class _Picture:
    path: Path
    content: str
    size: tuple[int, int]
    found: NDArray[np.float32] | None = None
    """How many features, these, the logits, the smallest and the largest value."""
    patches: NDArray[np.float32] | None = None
    pixels: NDArray[np.float32] | None = None
    """Resized for the network, where `found` is not known."""
    square: NDArray[np.float32] | None = None
    """Resized for patches, where they are not known."""
    range: tuple[float, float] = (0.0, 1.0)


class _Folder:
    """What is found out about the pictures of one folder."""

    def __init__(self, network: FeatureNetwork, cache: PictureCache) -> None:
        self.network, self.cache = network, cache
        self.recipe = f"{network.name}-{weights_hash(network)}-embedding-{network.side}bicubic"
        self.patch_recipe = f"pyramid-patches-{PATCH_SIDE}bicubic"
        self.device = next(network.buffers()).device

    def read(self, path: Path) -> _Picture | DataError:
        """What the cache knows of a picture, and its pixels where that is not all."""
        try:
            picture = _Picture(path, fingerprint(path), picture_size(path))
            picture.found = self.cache.known(picture.content, self.recipe)
            picture.patches = self.cache.known(picture.content, self.patch_recipe)
            if picture.found is None or picture.patches is None:
                pixels = read_picture(path).rgb8()
                picture.range = (float(pixels.min()) / 255, float(pixels.max()) / 255)
                if picture.found is None:
                    picture.pixels = resized(pixels, self.network.side)
                if picture.patches is None:
                    same = picture.pixels is not None and self.network.side == PATCH_SIDE
                    picture.square = picture.pixels if same else resized(pixels, PATCH_SIDE)
        except OSError as error:
            return DataError(f"{path}: cannot be read ({error.strerror})")
        except DataError as error:
            return error
        return picture

    def cut(self, pictures: Sequence[_Picture]) -> None:
        """Patches of those whose are not known."""
        fresh = [picture for picture in pictures if picture.square is not None]
        if not fresh:
            return
        squares = torch.from_numpy(np.stack([picture.square for picture in fresh if picture.square is not None]))
        patches = pyramid_patches(squares, [int(picture.content[:8], 16) for picture in fresh]).numpy()
        for picture, array in zip(fresh, patches, strict=True):
            picture.patches = self.cache.array(picture.content, self.patch_recipe, lambda array=array: array)  # type: ignore[misc]
            picture.square = None

    def embed(self, pictures: Sequence[_Picture]) -> None:
        """Run the network on those whose features are not known."""
        fresh = [picture for picture in pictures if picture.pixels is not None]
        if not fresh:
            return
        batch = torch.from_numpy(np.stack([picture.pixels for picture in fresh if picture.pixels is not None]))
        features, logits = self.network.embedding(batch.to(self.device))
        both = features if logits is None else torch.cat((features, logits), 1)
        for picture, vector in zip(fresh, both.float().cpu().numpy(), strict=True):
            whole = np.concatenate(([features.shape[1]], vector, picture.range)).astype(np.float32)
            picture.found = self.cache.array(picture.content, self.recipe, lambda whole=whole: whole)  # type: ignore[misc]
            picture.pixels = None


@torch.inference_mode()
def folder_features(folder: Path, network: FeatureNetwork, cache: PictureCache) -> FolderFeatures:
    """What :meth:`advtasks.features.FeatureNetwork.embedding` says of each picture of a folder, resized to a square.
    Several ranks share the work; each gets all of it.

    Raises:
        DataError: the folder does not exist, or holds no picture that can be read.
    """
    paths = find_pictures(folder).pictures
    if not paths:
        raise DataError(f"{folder}: no pictures found; sub-folders were searched, too")
    work = _Folder(network, cache)
    mine: list[_Picture | DataError] = []
    own = paths[rank() :: world_size()]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ahead = pool.map(work.read, own[:BATCH])
        for start in range(0, len(own), BATCH):
            part, ahead = list(ahead), pool.map(work.read, own[start + BATCH : start + 2 * BATCH])
            read = [item for item in part if isinstance(item, _Picture)]
            work.cut(read)
            work.embed(read)
            mine += [_checked(item) for item in part]
            cache.watch(f"features of {folder.name}", min((start + BATCH) * world_size(), len(paths)), len(paths))
    shares = gathered(mine)
    ordered = [shares[number % len(shares)][number // len(shares)] for number in range(len(paths))]
    errors = [str(item) for item in ordered if isinstance(item, DataError)]
    pictures = [item for item in ordered if isinstance(item, _Picture)]
    if not pictures:
        raise DataError("\n  ".join([f"{folder}: none of its {len(paths)} pictures can be read", *errors[:5]]))
    found = torch.from_numpy(np.stack([picture.found for picture in pictures if picture.found is not None]))
    dimensions = int(found[0, 0])
    return FolderFeatures(
        features=found[:, 1 : 1 + dimensions].contiguous(),
        paths=tuple(picture.path for picture in pictures),
        contents=tuple(picture.content for picture in pictures),
        sizes=Counter(picture.size for picture in pictures),
        errors=tuple(errors),
        logits=found[:, 1 + dimensions : -2].contiguous() if found.shape[1] > dimensions + 3 else None,
        patches=torch.from_numpy(np.stack([picture.patches for picture in pictures if picture.patches is not None])),
        ranges=found[:, -2:].contiguous(),
    )


def _checked(item: _Picture | DataError) -> _Picture | DataError:
    """An error for features that are no numbers."""
    if isinstance(item, _Picture) and item.found is not None and not np.isfinite(item.found).all():
        return DataError(f"{item.path}: its features are not finite")
    return item
