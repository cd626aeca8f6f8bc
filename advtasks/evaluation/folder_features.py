"""Features of all pictures of a folder, each computed once and kept by content and protocol."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from advtasks.causes import said
from advtasks.data.cache import PictureCache
from advtasks.data.folder import find_pictures, fingerprint
from advtasks.distributed import rank, world_size
from advtasks.errors import AdvtasksError, DataError
from advtasks.evaluation.look_alikes import LOOK, look
from advtasks.evaluation.sliced_wasserstein import PYRAMID, pyramid_patches
from advtasks.features import FeatureNetwork
from advtasks.features.weight_files import recipe_hash
from advtasks.pictures.decode import opened, picture_size, read_picture
from advtasks.process_group import gathered

BATCH = 8
"""Pictures at a time: on a processor no slower than more, in less memory."""
PATCH_SIDE = 224
"""Of the square that the patches of the sliced Wasserstein distance are cut from, whatever the backbone takes."""
PATCHED = 4096
"""Pictures of a folder that patches are cut from, evenly spread among its files: 74 MiB of patches at most."""


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
    formats: Counter[str]
    """How many files were stored as what, by their contents: ``PNG``, ``JPEG``."""
    errors: tuple[str, ...] = ()
    """Files that could not be read."""
    logits: Tensor | None = None
    """(N, K) of the backbone's classes, if it knows any."""
    patches: Tensor | None = None
    """(N or fewer, levels, patches, 3, 7, 7) of Laplacian pyramids."""
    looks: Tensor | None = None
    """(N, LOOK) bytes of :func:`advtasks.evaluation.look_alikes.look`."""

    @property
    def ranges(self) -> Tensor | None:
        """(N, 2) the smallest and the largest value of each picture, 0 to 255."""
        return None if self.looks is None else self.looks[:, -5:-3]


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
    format: str
    found: NDArray[np.float32] | None = None
    """How many features, these, and the logits."""
    patches: NDArray[np.float32] | None = None
    look: NDArray[np.uint8] | None = None
    pixels: NDArray[np.float32] | None = None
    """Resized for the network, where `found` is not known."""
    square: NDArray[np.float32] | None = None
    """Resized for patches, where they are wanted and not known."""


class _Folder:
    """What is found out about the pictures of one folder."""

    def __init__(self, network: FeatureNetwork, cache: PictureCache) -> None:
        self.network, self.cache = network, cache
        self.recipe = f"{network.name}-{recipe_hash(network)}-embedding-{network.side}bicubic"
        self.patch_recipe = f"pyramid{PYRAMID}-patches-{PATCH_SIDE}bicubic"
        self.device = next(network.buffers()).device

    def read(self, path: Path, patched: bool) -> _Picture | DataError:
        """What the cache knows of a picture, and its pixels where that is not all."""
        try:
            picture = _Picture(path, fingerprint(path), picture_size(path), stored_format(path))
            picture.found = self._known(picture.content, self.recipe)
            picture.look = self._known(picture.content, f"look{LOOK}")
            picture.patches = self._known(picture.content, self.patch_recipe) if patched else None
            patched = patched and picture.patches is None
            if picture.found is None or picture.look is None or patched:
                pixels = read_picture(path).rgb8()
                if picture.look is None:
                    picture.look = look(pixels)
                    self._keep(picture.content, f"look{LOOK}", picture.look)
                if picture.found is None:
                    picture.pixels = resized(pixels, self.network.side)
                if patched:
                    same = picture.pixels is not None and self.network.side == PATCH_SIDE
                    picture.square = picture.pixels if same else resized(pixels, PATCH_SIDE)
        except OSError as error:
            return DataError(f"{path}: cannot be read ({said(error)})")
        except DataError as error:
            return error
        return picture

    def _known(self, content: str, recipe: str) -> NDArray[Any] | None:
        """A copy, since a system maps some 65,000 files at a time and no more (Linux: vm.max_map_count)."""
        mapped = self.cache.known(content, recipe)
        return None if mapped is None else mapped.copy()

    def _keep(self, content: str, recipe: str, array: NDArray[Any]) -> None:
        with contextlib.suppress(AdvtasksError):  # a cache that cannot be written: it is computed anew next time
            self.cache.array(content, recipe, lambda: array)

    def cut(self, pictures: Sequence[_Picture]) -> None:
        """Patches of those whose are not known."""
        fresh = [picture for picture in pictures if picture.square is not None]
        if not fresh:
            return
        squares = torch.from_numpy(np.stack([picture.square for picture in fresh if picture.square is not None]))
        patches = pyramid_patches(squares, [int(picture.content[:8], 16) for picture in fresh]).numpy()
        for picture, array in zip(fresh, patches, strict=True):
            self._keep(picture.content, self.patch_recipe, array)
            picture.patches, picture.square = array.copy(), None

    def embed(self, pictures: Sequence[_Picture]) -> None:
        """Run the network on those whose features are not known."""
        fresh = [picture for picture in pictures if picture.pixels is not None]
        if not fresh:
            return
        batch = torch.from_numpy(np.stack([picture.pixels for picture in fresh if picture.pixels is not None]))
        features, logits = self.network.embedding(batch.to(self.device))
        both = features if logits is None else torch.cat((features, logits), 1)
        for picture, vector in zip(fresh, both.float().cpu().numpy(), strict=True):
            picture.found = np.concatenate(([features.shape[1]], vector)).astype(np.float32)
            self._keep(picture.content, self.recipe, picture.found)
            picture.pixels = None


@torch.inference_mode()
def folder_features(folder: Path, network: FeatureNetwork, cache: PictureCache) -> FolderFeatures:
    """What :meth:`advtasks.features.FeatureNetwork.embedding` says of each picture of a folder, resized to a square.
    Several ranks share the work; each gets all of it.

    Raises:
        DataError: the folder does not exist, or holds no picture that can be read.
    """
    found = find_pictures(folder)
    if not (paths := found.pictures):
        raise DataError(found.none_in(folder))
    patched = set(np.linspace(0, len(paths) - 1, min(PATCHED, len(paths))).round().astype(int).tolist())
    work = _Folder(network, cache)
    mine: list[_Picture | DataError] = []
    own = range(rank(), len(paths), world_size())
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:

        def reading(start: int) -> Iterator[_Picture | DataError]:
            return pool.map(lambda number: work.read(paths[number], number in patched), own[start : start + BATCH])

        ahead = reading(0)
        for start in range(0, len(own), BATCH):
            part, ahead = list(ahead), reading(start + BATCH)
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
    return _collected(pictures, errors)


def _collected(pictures: Sequence[_Picture], errors: Sequence[str]) -> FolderFeatures:
    contents, sizes = tuple(picture.content for picture in pictures), Counter(picture.size for picture in pictures)
    found = _stacked(pictures, "found")
    dimensions = int(found[0, 0])
    return FolderFeatures(
        features=found[:, 1 : 1 + dimensions].contiguous(),
        paths=tuple(picture.path for picture in pictures),
        contents=contents,
        sizes=sizes,
        formats=Counter(picture.format for picture in pictures),
        errors=tuple(errors),
        logits=found[:, 1 + dimensions :].contiguous() if found.shape[1] > 1 + dimensions else None,
        patches=_stacked(pictures, "patches") if any(x.patches is not None for x in pictures) else None,
        looks=_stacked(pictures, "look"),
    )


def _stacked(pictures: Sequence[_Picture], name: str) -> Tensor:
    """One array of all pictures' that have one, which are let go on the way: both at once would take twice the
    memory."""
    having = [picture for picture in pictures if getattr(picture, name) is not None]
    first = getattr(having[0], name)
    whole = np.empty((len(having), *first.shape), first.dtype)
    for row, picture in enumerate(having):
        whole[row] = getattr(picture, name)
        setattr(picture, name, None)
    return torch.from_numpy(whole)


def stored_format(path: Path) -> str:
    """What a file is, whatever its ending says."""
    with opened(path) as image:
        return str(image.format).replace("MPO", "JPEG")


def _checked(item: _Picture | DataError) -> _Picture | DataError:
    """An error for features that are no numbers."""
    if isinstance(item, _Picture) and item.found is not None and not np.isfinite(item.found).all():
        return DataError(f"{item.path}: its features are not finite")
    return item
