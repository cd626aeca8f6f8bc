"""Losses between an output picture and its target, by the names that stages give weights to; for every task that has
such pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from advtasks import components
from advtasks.config import PictureConfig
from advtasks.errors import UsageError
from advtasks.losses.artifacts import locally_discriminative
from advtasks.losses.edges import gradient_variance, sobel_edges
from advtasks.losses.frequency import focal_frequency
from advtasks.losses.luma import luma_l1
from advtasks.losses.perceptual import PerceptualLoss
from advtasks.losses.pixel import charbonnier
from advtasks.losses.structural_similarity import multi_scale_ssim_loss, ssim_loss
from advtasks.losses.variation import total_variation
from advtasks.task import Metric, Term, Terms

PICTURE_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1_loss,
    "mse": mse_loss,
    "charbonnier": charbonnier,
    "y-l1": luma_l1,
    "ssim": ssim_loss,
    "ms-ssim": multi_scale_ssim_loss,
    "sobel": sobel_edges,
    "gradient-variance": gradient_variance,
    "focal-frequency": focal_frequency,
    "ldl": locally_discriminative,
    "total-variation": lambda output, target: total_variation(output),
}
"""Each takes output and target (N, 3, H, W) and gives a scalar, a mean over the batch."""
DISTANCES = ("lpips", "dists")
TERM_NAMES = frozenset({*PICTURE_LOSSES, *DISTANCES, "perceptual"})


class PictureTerms(nn.Module):
    """Losses between output and target, with the frozen networks that they need.

    Raises:
        UsageError: a stage trains with a distance whose files were not given, or layer weights do not fit.
    """

    def __init__(self, config: PictureConfig) -> None:
        super().__init__()
        used = {name for stage in config.stages for name, weight in stage.weights.items() if weight}
        if "perceptual" in used:
            network = components.build("features", config.perceptual_network)
            try:
                self.perceptual = PerceptualLoss(network, config.perceptual_form, config.perceptual_layer_weights)
            except UsageError as error:
                raise UsageError(f"perceptual_layer_weights: {error}") from None
        self.distances = nn.ModuleDict()
        for name in DISTANCES:
            text: str = getattr(config, name)
            if text:
                if components.parse(text).name != name:
                    raise UsageError(f"{name}: expected {name}:trunk=FILE:..., got {text!r}")
                self.distances[name] = components.build("distances", text)
            elif name in used:
                needed = "heads" if name == "lpips" else "weights"
                raise UsageError(
                    f"stage weights name {name!r}, whose network was not given: write --{name} "
                    f"{name}:trunk=FILE:{needed}=FILE (docs/super_resolution.md), or train with `perceptual`"
                )

    @property
    def measured(self) -> list[nn.Module]:
        """The distances that validation measures beside the task's own."""
        return list(self.distances.values())

    def metrics(self) -> list[Metric]:
        """Their descriptions, in the same order."""
        return [
            Metric(str(distance.name).replace("-", "_"), str(distance.name).upper(), False, str(distance.protocol))
            for distance in self.measured
        ]

    def forward(self, output: Tensor, target: Tensor, weights: Mapping[str, float]) -> Terms:
        """The terms in `weights` whose weight is not 0; pictures (N, 3, H, W) in [0, 1]."""
        terms: Terms = {}
        for name, weight in weights.items():
            if not weight:
                continue
            if name in self.distances:
                value = self.distances[name](output, target).mean()
            elif name == "perceptual":
                value = self.perceptual(output, target)
            else:
                value = PICTURE_LOSSES[name](output, target)
            terms[name] = Term(value, weight)
        return terms
