"""Makes imresize_reference.npz: MATLAB's imresize, bicubic with antialiasing, written out in float64.

The algorithm as MATLAB documents it: for each output coordinate u = x/s + (1 - 1/s)/2, the cubic kernel (a = -0.5)
stretched by 1/s when shrinking, P = ceil(width) + 2 taps from floor(u - width/2), weights normalised, indices mirrored
at the border; rows first, then columns. Independent of torch and of the code under test.
"""

from pathlib import Path

import numpy as np


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -0.5."""
    a = np.abs(x)
    near = 1.5 * a**3 - 2.5 * a**2 + 1
    far = -0.5 * a**3 + 2.5 * a**2 - 4 * a + 2
    return near * (a <= 1) + far * ((a > 1) & (a <= 2))


def resize_rows(picture: np.ndarray, scale: float) -> np.ndarray:
    """Along axis 0."""
    length = picture.shape[0]
    stretch = min(scale, 1.0)
    width = 4.0 / stretch
    out = int(np.ceil(length * scale))
    u = (np.arange(out) + 1) / scale + 0.5 * (1 - 1 / scale)
    taps = np.floor(u - width / 2)[:, None] + np.arange(int(np.ceil(width)) + 2)[None]
    weights = stretch * cubic(stretch * (u[:, None] - taps))
    weights /= weights.sum(1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length - 1, -1, -1)])
    indices = mirrored[((taps - 1) % (2 * length)).astype(int)]
    return np.einsum("ot,ot...->o...", weights, picture[indices])


def imresize(picture: np.ndarray, scale: float) -> np.ndarray:
    """(H, W, C) float64, not rounded."""
    return np.swapaxes(resize_rows(np.swapaxes(resize_rows(picture, scale), 0, 1), scale), 0, 1)


if __name__ == "__main__":
    rng = np.random.default_rng(2026)
    y, x = np.mgrid[0:72, 0:48]
    waves = [127 + 120 * np.sin(0.35 * x + 0.2 * y), 2.5 * x + y, 255.0 * ((x // 3 + y // 5) % 2)]
    picture = np.clip(np.stack(waves, 2) + rng.normal(0, 8, (72, 48, 3)), 0, 255).round().astype(np.uint8)
    arrays = {"picture": picture}
    for scale in (2, 3, 4, 8):
        arrays[f"down{scale}"] = imresize(picture.astype(np.float64), 1 / scale)
        arrays[f"up{scale}"] = imresize(picture[:16, :12].astype(np.float64), scale)
    np.savez_compressed(Path(__file__).with_name("imresize_reference.npz"), **arrays)
