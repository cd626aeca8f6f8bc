"""Super-resolution as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from advtasks import components
from advtasks.config import RunConfig
from advtasks.data.cache import PictureCache
from advtasks.data.resize import bicubic_upscale
from advtasks.evaluation.perceptual_distance import PerceptualDistance
from advtasks.evaluation.psnr_ssim import psnr_y, ssim_y
from advtasks.inference.tiling import run_tiled
from advtasks.losses.picture_terms import TERM_NAMES, PictureTerms
from advtasks.task import Batch, Evaluated, Judged, Metric, Splits, Task, Terms
from advtasks_sr.config import SuperResolutionConfig
from advtasks_sr.data import Pair, load_folder, make_splits
from advtasks_sr.degradations import PRESETS, Draws, digest, to_json
from advtasks_sr.lows import make_low_side, without_margin
from advtasks_sr.sharpen import sharpened


class SuperResolution(Task):
    """Low resolution in, high resolution out; measured against bicubic interpolation."""

    terms_of_samples: ClassVar[bool] = True
    baseline: ClassVar[str | None] = "bicubic"
    picture_names: ClassVar[tuple[str, ...]] = ("low resolution", "output", "original")
    reference = "original"
    term_names: ClassVar[frozenset[str]] = TERM_NAMES

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        assert isinstance(config, SuperResolutionConfig), "the plugin's own configuration"
        self.options = config
        self.scale: int = config.scale
        self.low_side = make_low_side(config)
        self.distance = PerceptualDistance(components.build("features", config.metric_network))
        backbone = self.distance.network.name
        made = self._low_protocol()
        self.metrics: Sequence[Metric] = (  # type: ignore[misc]
            Metric(
                "psnr_y",
                "PSNR-Y",
                True,
                f"Y of BT.601 (MATLAB), 8 bit, {self.scale} pixels cropped a side{made}",
                "dB",
            ),
            Metric("ssim_y", "SSIM-Y", True, "11x11 Gaussian, sigma 1.5, valid windows; Y and crop as PSNR-Y"),
            Metric(
                f"distance_{backbone.replace('-', '_')}",
                f"distance ({backbone})",
                False,
                f"squared distance of unit features of {backbone} (ImageNet), summed over 5 scales; not LPIPS{made}",
            ),
        )
        self.terms = PictureTerms(config)
        self.metrics = (*self.metrics, *self.terms.metrics())  # type: ignore[misc]

    def generator(self) -> nn.Module:
        """The network that ``--generator`` names."""
        network: nn.Module = components.build("generators", self.options.generator, scale=self.scale)
        return network

    def splits(self, cache: PictureCache) -> Splits:
        """Patches to train on, whole pictures to validate on."""
        return make_splits(self.options, cache)

    def examples(self, folder: Path, cache: PictureCache) -> tuple[Sequence[Any], Sequence[str]]:
        """The pictures of a folder, with their low-resolution side; those for validation where it divides them."""
        return load_folder(folder, self.low_side, cache)

    def prepare(self, batch: Batch) -> Batch:
        """Bytes (N, H, W, 3) to floats (N, 3, H, W) in [0, 1]: ``low``, ``high``, and ``target`` where the target of
        the loss terms is sharpened.

        A batch without ``low`` holds patches with a margin (:func:`advtasks_sr.targets.target_cut`), which are degraded
        here and cut. Draws are those of this step, whatever the number of ranks.
        """
        prepared = {name: pixels.permute(0, 3, 1, 2).float().div_(255) for name, pixels in batch.items()}
        high = prepared["high"]
        target = sharpened(high) if self.options.sharpen_target else high
        low = prepared.get("low")
        if low is None:
            draws, margin = Draws(), self.low_side.margin
            # bicubic is a protocol, of the picture as it is; a degradation starts from what shall be given back
            low = self.low_side.of_batch(high if self.low_side.recipe is None else target, draws)
            low, (high, target) = without_margin(low, [high, target], margin, draws)
        result = {"low": low, "high": high}
        return result | {"target": target} if self.options.sharpen_target else result

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        """The enlarged patches."""
        output: Tensor = generator(batch["low"])
        return output.float()

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        """The losses that `weights` names; see :mod:`advtasks.losses.picture_terms`."""
        return self.terms(output, batch.get("target", batch["high"]), weights)

    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        """The critic sees patches without their low-resolution side, as in SRGAN."""
        return {"image": Judged(batch["high"], output)}

    def evaluate(self, generator: nn.Module | None, example: Pair) -> Evaluated:
        """PSNR-Y, SSIM-Y and the perceptual distance of one picture."""
        device = self.distance.network.get_buffer("mean").device
        low, high = (_floats(pixels).to(device) for pixels in (example.low, example.high))
        if generator is None:
            output = bicubic_upscale(low, self.scale)
        else:
            output = run_tiled(
                generator,
                low,
                scale=self.scale,
                radius=int(generator.receptive_radius),  # type: ignore[arg-type]
                multiple_of=int(getattr(generator, "multiple_of", 1)),
            ).to(device)
        output = (output.clamp(0, 1) * 255).round() / 255  # what a file would hold
        values = (
            psnr_y(output, high, self.scale),
            ssim_y(output, high, self.scale),
            self.distance(output, high),
            *(distance(output, high) for distance in self.terms.measured),
        )
        names = [metric.name for metric in self.metrics]
        return Evaluated(
            {name: value.item() for name, value in zip(names, values, strict=True)},
            dict(zip(self.picture_names, (low[0], output[0], high[0]), strict=True)),
        )

    def _low_protocol(self) -> str:
        """What the metrics' protocol says about the low-resolution side; nothing for bicubic."""
        if self.low_side.recipe is None:
            return ""
        name = self.options.degradation if self.options.degradation in PRESETS else "recipe"
        return (
            f"; low resolution degraded by {name} ({digest(self.low_side.recipe)}), always the same for a picture, "
            "unless the folder has its own"
        )

    def _portable_degradation(self) -> str:
        """For bundles, which may be measured where a recipe's file is not."""
        recipe, value = self.low_side.recipe, self.options.degradation
        return value if recipe is None or value in PRESETS else to_json(recipe)

    def manifest(self) -> dict[str, Any]:
        """What ``advtasks upscale`` needs."""
        hyper_parameters = components.arguments("generators", self.options.generator, scale=self.scale)
        with torch.device("meta"):
            network = self.generator()
        return {
            "verb": "upscale",
            "generator": components.parse(self.options.generator).name,
            "hyper_parameters": hyper_parameters,
            "task_options": {
                "scale": self.scale,
                "metric_network": self.options.metric_network,
                "degradation": self._portable_degradation(),
            },
            "channels": 3,
            "scale": self.scale,
            "receptive_radius": network.receptive_radius,
            "multiple_of": getattr(network, "multiple_of", 1),
            "training_data": f"pictures of the folder {self.options.data.name if self.options.data else '?'}; "
            "their terms apply",
        }


def _floats(pixels: Any) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
