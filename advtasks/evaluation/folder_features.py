"""Features of all pictures of a folder, each computed once and kept by content and protocol."""

from __future__ import annotations

import hashlib
from collections import Counter
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
from advtasks.errors import DataError
from advtasks.features import FeatureNetwork
from advtasks.pictures.decode import picture_size, read_picture

SIDE = 224
BATCH = 32


@dataclass(frozen=True)
class FolderFeatures:
    """The pictures of a folder as points."""

    features: Tensor
    """(N, d) float32, in the order of the files."""
    contents: tuple[str, ...]
    """Fingerprints of the files, in the same order."""
    formats: Counter[str]
    """How many files have which suffix."""
    sizes: Counter[tuple[int, int]]
    """How many pictures have which width and height."""
    errors: tuple[str, ...]
    """Files that could not be read."""


def weights_hash(network: FeatureNetwork) -> str:
    """SHA-256 of all weights, 12 digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def resized(pixels: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.float32]:
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
    features: NDArray[np.float32] | None = None
    pixels: NDArray[np.float32] | None = None
    """Resized, where the features are not known."""


@torch.inference_mode()
def folder_features(folder: Path, network: FeatureNetwork, cache: PictureCache, side: int = SIDE) -> FolderFeatures:
    """The deepest features of `network`, averaged over each picture of a folder, which is resized to a square.

    Raises:
        DataError: the folder does not exist, or holds no picture that can be read.
    """
    paths = find_pictures(folder).pictures
    if not paths:
        raise DataError(f"{folder}: no pictures found; sub-folders were searched, too")
    recipe = f"{network.name}-{weights_hash(network)}-pooled-{side}bicubic"
    device = next(network.buffers()).device
    pictures: list[_Picture] = []
    errors: list[str] = []

    def read(path: Path) -> _Picture | DataError:
        try:
            picture = _Picture(path, fingerprint(path), picture_size(path))
            picture.features = cache.known(picture.content, recipe)
            if picture.features is None:
                picture.pixels = resized(read_picture(path).rgb8(), side)
        except OSError as error:
            return DataError(f"{path}: cannot be read ({error.strerror})")
        except DataError as error:
            return error
        return picture

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), BATCH):
            part = list(pool.map(read, paths[start : start + BATCH]))
            errors += [str(item) for item in part if isinstance(item, DataError)]
            whole = [item for item in part if isinstance(item, _Picture)]
            fresh = [picture for picture in whole if picture.pixels is not None]
            if fresh:
                batch = torch.from_numpy(np.stack([picture.pixels for picture in fresh if picture.pixels is not None]))
                pooled = network(batch.to(device))[-1].mean((-2, -1)).float().cpu().numpy()
                for picture, vector in zip(fresh, pooled, strict=True):
                    picture.features = cache.array(picture.content, recipe, lambda vector=vector: vector)  # type: ignore[misc]
                    picture.pixels = None
            pictures += whole
            cache.watch(f"features of {folder.name}", min(start + BATCH, len(paths)), len(paths))
    if not pictures:
        raise DataError("\n  ".join([f"{folder}: none of its {len(paths)} pictures can be read", *errors[:5]]))
    return FolderFeatures(
        features=torch.from_numpy(np.stack([picture.features for picture in pictures if picture.features is not None])),
        contents=tuple(picture.content for picture in pictures),
        formats=Counter(picture.path.suffix.lower().replace(".jpeg", ".jpg") for picture in pictures),
        sizes=Counter(picture.size for picture in pictures),
        errors=tuple(errors),
    )
