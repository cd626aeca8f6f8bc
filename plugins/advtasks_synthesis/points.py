"""Points in the plane as a task: what a critic sees need not be a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks.config import RunConfig
from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.distributed import draw_rows
from advtasks.errors import DataError
from advtasks.evaluation.modes import mode_coverage
from advtasks.task import Batch, Evaluated, Judged, Metric, Splits, Task, Terms, View
from advtasks_synthesis.config import PointsConfig
from advtasks_synthesis.generator import PointGenerator
from advtasks_synthesis.mixtures import MIXTURES, Mixture, scatter

REAL_POINTS = 100_000


class RealPoints(Dataset[Batch]):
    """A fixed draw from the mixture."""

    def __init__(self, mixture: Mixture) -> None:
        self.points, self.modes = mixture.draw(REAL_POINTS, torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return REAL_POINTS

    def __getitem__(self, position: Position) -> Batch:
        return {"real": self.points[position.index], "label": self.modes[position.index]}

    def __getitems__(self, positions: list[Position]) -> list[Batch]:
        """A whole batch at once, as torch's loader asks for it."""
        indices = [position.index for position in positions]
        pairs = zip(self.points[indices].unbind(), self.modes[indices].unbind(), strict=True)
        return [{"real": real, "label": label} for real, label in pairs]


class Points(Task):
    """From noise, and the mode where the run is conditional, to points. It has no objective of its own."""

    latent: ClassVar[str | None] = "noise"
    picture_names: ClassVar[tuple[str, ...]] = ("output", "real")
    metrics: ClassVar[Sequence[Metric]] = (
        Metric("modes", "modes", True, "modes with at least one sample within 3 sigma"),
        Metric("high_quality", "high quality", True, "share of samples within 3 sigma of the nearest mode"),
        Metric("reverse_kl", "reverse KL", False, "KL of the histogram of nearest modes from the uniform one, in nats"),
    )

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        assert isinstance(config, PointsConfig), "the plugin's own configuration"
        self.options = config
        self.mixture = MIXTURES[config.distribution]()
        self.classes = len(self.mixture.centers) if config.conditional else 0
        if config.conditional:
            accuracy = Metric("accuracy", "class accuracy", True, "share of samples nearest to the mode asked for")
            spread = Metric("spread", "spread", True, "standard deviation around the asked mode over the true one")
            self.metrics = (*type(self).metrics, accuracy, spread)  # type: ignore[misc]

    def _hyper_parameters(self) -> dict[str, Any]:
        options = self.options
        return {
            "latent": options.latent,
            "width": options.width,
            "layers": options.layers,
            "classes": self.classes,
            "activation": options.activation,
            "reach": self.mixture.centers.abs().max().item(),
        }

    def generator(self) -> nn.Module:
        """A fresh network."""
        return PointGenerator(**self._hyper_parameters())

    def splits(self, cache: PictureCache) -> Splits:
        """A fixed draw to train on; validation draws its own."""
        return Splits(RealPoints(self.mixture), [0], fingerprint=self.options.distribution)

    def examples(self, folder: Path, cache: PictureCache) -> tuple[Sequence[Any], Sequence[str]]:
        """None: the distribution is known, not a folder."""
        raise DataError("the points task measures against its own distribution, not against a folder")

    def prepare(self, batch: Batch) -> Batch:
        """Add the noise."""
        real = batch["real"]
        return {**batch, "noise": draw_rows(torch.randn, len(real), self.options.latent, device=real.device)}

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        """Points (N, 2)."""
        points: Tensor = generator(batch["noise"], batch["label"] if self.classes else None)
        return points.float()

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        """Nothing: all is the adversary's."""
        return {}

    def views(self) -> dict[str, View]:
        """The points."""
        return {"points": View(channels=2, classes=self.classes)}

    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        """Real and generated points, in units of the mixture's reach; the mode as condition and as InfoGAN's code."""
        reach = self.mixture.centers.abs().max()
        label = batch["label"] if self.classes else None
        return {"points": Judged(batch["real"] / reach, output / reach, label, code=label)}

    def evaluate(self, generator: nn.Module | None, example: int) -> Evaluated:
        """Count modes over ``samples`` points."""
        assert generator is not None
        draws = torch.Generator().manual_seed(example)
        noise = torch.randn(self.options.samples, self.options.latent, generator=draws)
        label = torch.arange(len(noise)) % self.classes if self.classes else None
        device = next(generator.parameters()).device
        points = generator(noise.to(device), None if label is None else label.to(device)).float().cpu()
        found = mode_coverage(points, self.mixture.centers, self.mixture.sigma)
        metrics = {"modes": found.modes, "high_quality": found.high_quality, "reverse_kl": found.reverse_kl}
        if label is not None:
            away = points - self.mixture.centers[label]
            right = torch.cdist(points, self.mixture.centers).argmin(1) == label
            metrics["accuracy"] = right.float().mean().item()
            metrics["spread"] = (away[right].square().mean().sqrt() / self.mixture.sigma).item()
        real, _ = self.mixture.draw(len(points), draws)
        pictures = {"output": scatter(points, self.mixture), "real": scatter(real, self.mixture)}
        return Evaluated(metrics, pictures)

    def manifest(self) -> dict[str, Any]:
        """What ``advtasks sample`` needs."""
        return {
            "verb": "sample",
            "generator": "points-mlp",
            "hyper_parameters": self._hyper_parameters(),
            "task_options": {"distribution": self.options.distribution},
            "channels": 2,
            "scale": 1,
            "receptive_radius": None,
            "multiple_of": 1,
            "training_data": f"drawn from the mixture {self.options.distribution!r}",
        }
