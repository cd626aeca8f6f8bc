"""Translation between paired pictures as a task."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, l1_loss, mse_loss, one_hot

from advtasks import components
from advtasks.config import RunConfig
from advtasks.data.cache import PictureCache
from advtasks.draws import Draws, SeededDraws
from advtasks.errors import UsageError
from advtasks.evaluation.labels import class_accuracy, mean_iou, pixel_accuracy
from advtasks.evaluation.perceptual_distance import PerceptualDistance
from advtasks.evaluation.psnr_ssim import psnr_rgb, ssim_rgb
from advtasks.inference.tiling import run_tiled
from advtasks.losses.picture_terms import TERM_NAMES, PictureTerms
from advtasks.task import Batch, Evaluated, Judged, Metric, Splits, Task, Term, Terms, View
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.crops import Loaded
from advtasks_pix2pix.data import find_sides, load_folder, make_splits
from advtasks_pix2pix.makers import MAKERS
from advtasks_pix2pix.pixels import to_network

_OF_VALUES = {"l1": l1_loss, "mse": mse_loss}
"""Terms of all channels; the others look at RGB pictures."""
_SHARPNESS = 10.0
"""Of the softmax that cross entropy takes of channels in [0, 1]."""
_VIEWS = ("image", "half", "quarter", "eighth")


class Translation(Task):
    """An input in, its target out; measured against the input itself."""

    terms_of_samples: ClassVar[bool] = True
    picture_names: ClassVar[tuple[str, ...]] = ("input", "output", "target")
    reference = "target"
    term_names: ClassVar[frozenset[str]] = TERM_NAMES | {"cross-entropy"}

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        assert isinstance(config, TranslationConfig), "the plugin's own configuration"
        self.options = config
        self.sides = find_sides(config)
        self.labels = self.sides.target.kind == "labels"
        self.terms = PictureTerms(config)
        if self.labels:
            self.baseline = None  # type: ignore[misc]
            self.metrics = _LABEL_METRICS  # type: ignore[misc]
            return
        self.baseline = "input"  # type: ignore[misc]
        if config.make_input != "none":
            self.more_usage = "--make-input"
        self.distance = PerceptualDistance(components.build("features", config.metric_network))
        backbone = self.distance.network.name
        self.metrics = (  # type: ignore[misc]
            Metric("l1", "L1", False, "mean absolute difference of 8-bit RGB values, in levels"),
            Metric("psnr_rgb", "PSNR", True, "RGB, 8 bit, whole picture", "dB"),
            Metric("ssim_rgb", "SSIM", True, "11x11 Gaussian, sigma 1.5, valid windows; mean of R, G and B"),
            Metric(
                f"distance_{backbone.replace('-', '_')}",
                f"distance ({backbone})",
                False,
                f"squared distance of unit features of {backbone} (ImageNet), summed over 5 scales; not LPIPS",
            ),
            *self.terms.metrics(),
        )

    def generator(self) -> nn.Module:
        """The network that ``--generator`` names, with the channels of the data.

        Raises:
            UsageError: crops are no multiples of what the network wants.
        """
        network: nn.Module = components.build("generators", self.options.generator, **self._channels())
        multiple = int(getattr(network, "multiple_of", 1))
        if self.options.crop % multiple:
            raise UsageError(
                f"crop: {self.options.crop} is no multiple of {multiple}, which {self.options.generator} wants: give "
                f"--crop {-(-self.options.crop // multiple) * multiple}, or a network of fewer levels (unet:levels=5)"
            )
        return network

    def _channels(self) -> dict[str, int]:
        noise = {"noise_channels": self.options.noise} if self.options.noise else {}
        return {"in_channels": self.sides.input.planes, "out_channels": self.sides.target.planes, **noise}

    def splits(self, cache: PictureCache) -> Splits:
        """Crops to train on, whole pairs to validate on."""
        return make_splits(self.options, self.sides, cache)

    def examples(self, folder: Path, cache: PictureCache) -> tuple[Sequence[Any], Sequence[str]]:
        """All pairs of a folder, or those of its validation or test split."""
        return load_folder(folder, self.options, self.sides, cache)

    def prepare(self, batch: Batch) -> Batch:
        """Stored values to floats: ``input`` (N, C, H, W), ``target`` (N, C', H, W), and ``noise`` where there is some.
        Draws are those of this step, whatever the number of ranks."""
        draws = Draws()
        prepared = self._floats(batch.get("input"), batch["target"], draws)
        if self.options.noise:
            target = prepared["target"]
            prepared["noise"] = draws.normal(len(target), self.options.noise, device=target.device)
        return prepared

    def _floats(self, given: Tensor | None, target: Tensor, draws: Draws) -> Batch:
        wanted = to_network(target, self.sides.target)
        if given is not None:
            return {"input": to_network(given, self.sides.input), "target": wanted}
        return {"input": MAKERS[self.options.make_input](wanted, draws), "target": wanted}

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        """The translated crops; where targets are of no class they are 0 there, too: no loss and no critic sees it."""
        noise = batch.get("noise")
        output: Tensor = generator(batch["input"]) if noise is None else generator(batch["input"], noise)
        if self.sides.target.ignored is not None:
            output = output * batch["target"].sum(1, keepdim=True)
        return output.float()

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        """The losses that `weights` names; see :mod:`advtasks.losses.picture_terms`."""
        target, pixels = batch["target"], self.sides.target
        terms: Terms = {}
        for name, weight in weights.items():
            if not weight:
                continue
            if name == "cross-entropy":
                terms[name] = Term(self._cross_entropy(output, target), weight)
            elif name in _OF_VALUES:
                terms[name] = Term(_OF_VALUES[name](output, target), weight)
            else:
                terms |= self.terms(pixels.shown(output), pixels.shown(target), {name: weight})
        return terms

    def _cross_entropy(self, output: Tensor, target: Tensor) -> Tensor:
        """Over all pixels, those of no class with 0: a mean over the others would weigh samples by their pixels."""
        if self.sides.target.ignored is None:
            return cross_entropy(output * _SHARPNESS, target.argmax(1))
        each = cross_entropy(output * _SHARPNESS, target.argmax(1), reduction="none")
        return (each * target.sum(1)).mean()

    def views(self) -> dict[str, View]:
        """The pair at each scale."""
        view = View(channels=self.sides.target.planes, condition_channels=self.sides.input.planes)
        return dict.fromkeys(_VIEWS[: self.options.scales], view)

    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        """The critic sees the output and the input that it belongs to."""
        found: dict[str, Judged] = {}
        real, fake, condition = batch["target"], output, batch["input"]
        for name in _VIEWS[: self.options.scales]:
            if found:
                real, fake, condition = (
                    avg_pool2d(x, 3, 2, 1, count_include_pad=False) for x in (real, fake, condition)
                )
            found[name] = Judged(real, fake, condition)
        return found

    def evaluate(self, generator: nn.Module | None, example: Loaded) -> Evaluated:
        """The metrics of one pair. An input that is made is always the same for a picture."""
        device = next(generator.parameters()).device if generator is not None else self._device()
        given = None if example.input is None else _tensor(example.input).to(device)
        draws = SeededDraws(zlib.crc32(example.content.encode()))
        pair = self._floats(given, _tensor(example.target).to(device), draws)
        output = pair["input"] if generator is None else self._translated(generator, pair["input"])
        measured = self._measured_labels if self.labels else self._measured_pictures
        values, outcome, target = measured(output, pair["target"], is_input=generator is None)
        pictures = (self.sides.input.shown(pair["input"])[0], outcome[0], target[0])
        names = [metric.name for metric in self.metrics]
        return Evaluated(dict(zip(names, values, strict=True)), dict(zip(self.picture_names, pictures, strict=True)))

    @staticmethod
    def _translated(generator: nn.Module, given: Tensor) -> Tensor:
        multiple = int(getattr(generator, "multiple_of", 1))
        return run_tiled(generator, given, scale=1, radius=None, multiple_of=multiple).to(given.device)

    def _measured_labels(self, output: Tensor, target: Tensor, is_input: bool) -> tuple[list[float], Tensor, Tensor]:
        """Values of the metrics, and what to show."""
        classes, shown = self.sides.target.classes, self.sides.target.shown
        numbers, wanted, known = output.argmax(1), target.argmax(1), target.any(1)
        values = [
            measure(numbers[known], wanted[known], classes) for measure in (pixel_accuracy, class_accuracy, mean_iou)
        ]
        return values, shown(one_hot(numbers, classes).permute(0, 3, 1, 2).float()), shown(target)

    def _measured_pictures(self, output: Tensor, target: Tensor, is_input: bool) -> tuple[list[float], Tensor, Tensor]:
        """The same; of 8-bit values, as a file would hold them."""
        pixels = self.sides.input if is_input else self.sides.target
        output, target = (
            (picture.clamp(0, 1) * 255).round() / 255
            for picture in (pixels.shown(output), self.sides.target.shown(target))
        )
        values = [
            255 * l1_loss(output, target).item(),
            psnr_rgb(output, target).item(),
            ssim_rgb(output, target).item(),
            self.distance(output, target).item(),
            *(measure(output, target).item() for measure in self.terms.measured),
        ]
        return values, output, target

    def _device(self) -> torch.device:
        buffer = next(self.buffers(), None)
        return torch.device("cpu") if buffer is None else buffer.device

    def manifest(self) -> dict[str, Any]:
        """What ``advtasks translate`` needs."""
        options, sides = self.options, self.sides
        with torch.device("meta"):
            network = self.generator()
        folder = options.data.name if options.data else "?"
        return {
            "verb": "translate",
            "generator": components.parse(options.generator).name,
            "hyper_parameters": components.arguments("generators", options.generator, **self._channels()),
            "task_options": {
                "input_pixels": json.dumps(asdict(sides.input)),
                "target_pixels": json.dumps(asdict(sides.target)),
                "direction": options.direction,
                "layout": options.layout,
                "make_input": options.make_input,
                "load": options.load,
                "crop": options.crop,
                "metric_network": options.metric_network,
            },
            "channels": sides.input.planes,
            "out_channels": sides.target.planes,
            "scale": 1,
            "receptive_radius": getattr(network, "receptive_radius", None),
            "multiple_of": getattr(network, "multiple_of", 1),
            "training_data": f"pairs of the folder {folder}; their terms apply",
        }


_LABEL_METRICS = (
    Metric("pixel_accuracy", "pixel accuracy", True, "share of pixels of the right class, of each picture"),
    Metric("class_accuracy", "class accuracy", True, "mean over the classes of a picture of their share found"),
    Metric("mean_iou", "mean IoU", True, "mean over the classes of a picture of intersection over union"),
)


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(values.copy())[None]
