"""Deep image structure and texture similarity (Ding et al. 2020), for users who have its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from advtasks.errors import UsageError
from advtasks.features.trunk import CHANNELS, Trunk
from advtasks.features.weight_files import read_tensors

_WIDTHS = (3, *CHANNELS["vgg16"])
_STABLE = 1e-6
"""c1 and c2."""


def structure_and_texture(found: list[Tensor], wanted: list[Tensor], alpha: Tensor, beta: Tensor) -> Tensor:
    """``1 - Σ_ij (α_ij l_ij + β_ij s_ij)`` (Ding et al. 2020, section 3), (N,).

    ``l = (2 μx μy + c1) / (μx² + μy² + c1)``, ``s = (2 σxy + c2) / (σx² + σy² + c2)`` over the places of channel j of
    stage i, ``c1 = c2 = 1e-6``; α and β are divided by their common sum.

    Args:
        found, wanted: features of both pictures, stage by stage, (N, C_i, H_i, W_i).
        alpha, beta: (ΣC_i,), not negative.
    """
    widths = [feature.shape[1] for feature in found]
    whole = alpha.sum() + beta.sum()
    distance = found[0].new_ones(len(found[0]))
    for x, y, a, b in zip(found, wanted, alpha.split(widths), beta.split(widths), strict=True):
        x, y = x.flatten(2), y.flatten(2)
        mean_x, mean_y = x.mean(2), y.mean(2)
        var_x, var_y = x.var(2, correction=0), y.var(2, correction=0)
        covariance = ((x - mean_x[..., None]) * (y - mean_y[..., None])).mean(2)
        luminance = (2 * mean_x * mean_y + _STABLE) / (mean_x.square() + mean_y.square() + _STABLE)
        structure = (2 * covariance + _STABLE) / (var_x + var_y + _STABLE)
        distance = distance - ((a * luminance + b * structure) / whole).sum(1)
    return distance


class DISTS(nn.Module):
    """:func:`structure_and_texture` of the picture itself and of five stages of VGG16 with :class:`L2 pooling
    <advtasks.features.trunk.L2Pooling>`: textures that look alike are near, wherever their details lie.

    The authors' metric first reduces large pictures to a shorter side of 256 pixels; here all pictures keep their size.

    Args:
        trunk: torchvision's ImageNet state dict of VGG16 (``vgg16-397923af.pth``).
        weights: ``weights.pt`` of the authors' repository (dingkeyan93/DISTS; also in the pip package
            ``dists-pytorch``), which holds ``alpha`` and ``beta``.

    Raises:
        UsageError: a file is missing or another one. Nothing is downloaded.
    """

    def __init__(self, trunk: str = "", weights: str = "") -> None:
        super().__init__()
        if not weights or not Path(weights).is_file():
            raise UsageError(
                f"dists needs alpha and beta as a file, found {weights!r}. `pip download --no-deps dists-pytorch` "
                "brings DISTS_pytorch/weights.pt (a wheel is a zip file): write dists:trunk=FILE:weights=FILE. Without "
                "it, the distance on efficientnet-lite2 is measured, and `perceptual` trains"
            )
        self.network = Trunk("vgg16", trunk, pooling="l2")
        self.name = "dists"
        self.protocol = "DISTS (Ding et al. 2020), RGB, whole picture in its own size"
        found = read_tensors(Path(weights))
        for name in ("alpha", "beta"):
            if name not in found or found[name].numel() != sum(_WIDTHS):
                raise UsageError(f"{weights}: not the weights of DISTS ({name} should have {sum(_WIDTHS)} values)")
            self.register_buffer(name, found[name].detach().float().flatten())

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N,) distances of RGB pictures (N, 3, H, W) in [0, 1], sides from 16 pixels; 0 for equal ones. Gradients
        reach `output` only."""
        with torch.no_grad():
            wanted = [target.float(), *(feature.float() for feature in self.network(target))]
        found = [output.float(), *(feature.float() for feature in self.network(output))]
        return structure_and_texture(found, wanted, self.get_buffer("alpha"), self.get_buffer("beta"))
