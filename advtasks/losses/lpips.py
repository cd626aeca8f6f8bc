"""Learned perceptual image patch similarity (Zhang et al. 2018), for users who have its weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from advtasks.errors import UsageError
from advtasks.features.trunk import CHANNELS, Trunk, TrunkName
from advtasks.features.weight_files import read_tensors

_TRUNKS: dict[str, TrunkName] = {"alex": "alexnet", "vgg": "vgg16"}


class LPIPS(nn.Module):
    """``d(x, y) = Σ_l 1/(H_l W_l) Σ_hw Σ_c w_lc (x̂_lhwc - ŷ_lhwc)²`` (Zhang et al. 2018, eq. 1; w for its w²).

    x̂ are the features of a frozen trunk, scaled to unit length at each place; w, not negative, was fitted to human
    judgments (version 0.1). Literature measures with ``alex`` and, where it trains with LPIPS, trains with ``vgg``: a
    metric that was trained against flatters.

    Args:
        network: ``alex`` or ``vgg``.
        trunk: torchvision's ImageNet state dict of AlexNet (``alexnet-owt-7be5be79.pth``) or VGG16
            (``vgg16-397923af.pth``).
        heads: ``lpips/weights/v0.1/alex.pth`` or ``vgg.pth`` of the pip package ``lpips`` (BSD-2). Where that package
            is installed, its file is found; it is not imported.

    Raises:
        UsageError: a file is missing or another one. Nothing is downloaded.
    """

    def __init__(self, network: Literal["alex", "vgg"] = "alex", trunk: str = "", heads: str = "") -> None:
        super().__init__()
        file = Path(heads) if heads else _installed_heads(network)
        if file is None or not file.is_file():
            raise UsageError(
                f"lpips needs its linear heads as a file, found {heads!r}. `pip download --no-deps lpips` brings "
                f"lpips/weights/v0.1/{network}.pth (a wheel is a zip file): write lpips:network={network}:trunk=FILE:"
                "heads=FILE. Without it, the distance on efficientnet-lite2 is measured, and `perceptual` trains"
            )
        self.network = Trunk(_TRUNKS[network], trunk)
        self.name = f"lpips-{network}"
        self.protocol = f"LPIPS 0.1 on {network} (Zhang et al. 2018), RGB, whole picture"
        found = read_tensors(file)
        for number, channels in enumerate(CHANNELS[_TRUNKS[network]]):
            weights = found.get(f"lin{number}.model.1.weight")
            if weights is None or weights.numel() != channels:
                raise UsageError(
                    f"{file}: not the heads of LPIPS with {network} (lin{number}.model.1.weight should have {channels} "
                    "values)"
                )
            self.register_buffer(f"head{number}", weights.float().view(1, channels, 1, 1))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N,) distances of RGB pictures (N, 3, H, W) in [0, 1], sides from 32 pixels; 0 for equal ones. Gradients
        reach `output` only."""
        with torch.no_grad():
            wanted = self.network(target)
        parts = []
        for number, (one, other) in enumerate(zip(self.network(output), wanted, strict=True)):
            difference = normalize(one.float(), dim=1, eps=1e-10) - normalize(other.float(), dim=1, eps=1e-10)
            parts.append((difference.square() * self.get_buffer(f"head{number}")).sum(1).mean(dim=(1, 2)))
        return torch.stack(parts).sum(0)


def _installed_heads(network: str) -> Path | None:
    """The heads' file of the package ``lpips``, where it is installed."""
    found = importlib.util.find_spec("lpips")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "weights" / "v0.1" / f"{network}.pth"
