"""What a task is: networks, data, its own loss terms, what a critic may see, how its output is measured.

A task knows no optimiser, no device, no step counter and no adversary.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks.data.loader import Batch
from advtasks.errors import UsageError

if TYPE_CHECKING:
    from advtasks.config import RunConfig
    from advtasks.data.cache import PictureCache


@dataclass(frozen=True)
class Judged:
    """What one critic sees: real and generated samples, and what belongs to both.

    Samples are pictures (N, C, H, W) in [0, 1], or points (N, C).
    """

    real: Tensor
    fake: Tensor
    condition: Tensor | None = None
    """What row i of both depends on: a picture (N, C', H, W), class numbers (N,) int64, or an embedding (N, E)."""
    identity: Tensor | None = None
    """(N,) numbers of the real samples: rows of equal number are never mismatched with each other."""
    code: Tensor | None = None
    """What the generator was told and a critic should read off the fake (InfoGAN): (N,) int64 or (N, K) floats."""
    latent: Tensor | None = None
    """The noise (N, Z) that `fake` was made from."""
    synthesize: Callable[[Tensor], Tensor] | None = None
    """From a latent to a sample, row by row like `fake`; for regularizers that move in latent space."""
    synthesize_under: Callable[[Tensor], Tensor] | None = None
    """From an embedding (N, E) in the place of `condition` to a sample, with the same latent; for those that move in
    the space of conditions."""

    def detached(self) -> Judged:
        """Without the generator's graph."""
        condition = None if self.condition is None else self.condition.detach()
        return dataclasses.replace(self, real=self.real.detach(), fake=self.fake.detach(), condition=condition)


def judged_of(fake: Tensor | Judged, real: Tensor | None, condition: Tensor | None) -> Judged:
    """What a critic sees, of somebody's own loop: all of it, or samples and what they depend on.

    Raises:
        UsageError: fake and real are not of one shape: losses that compare them would repeat the smaller one.
    """
    if isinstance(fake, Judged):
        return fake
    if real is None or fake.shape != real.shape:
        wrong = "nothing" if real is None else str(tuple(real.shape))
        raise UsageError(f"fake is {tuple(fake.shape)} and real is {wrong}: both have one shape, as many of each")
    return Judged(real, fake, condition)


@dataclass(frozen=True)
class View:
    """A view that a task hands to an adversary of its own."""

    channels: int = 3
    """Of the samples; for points their dimension."""
    condition_channels: int = 0
    """Of a picture condition."""
    classes: int = 0
    """Of a class condition: how many there are."""
    embedding: int = 0
    """Of an embedding condition: its width."""

    @property
    def condition_width(self) -> int:
        """Channels that the condition takes when it is concatenated to the sample."""
        return self.condition_channels + self.classes + self.embedding


@dataclass(frozen=True)
class Term:
    """One named part of a loss: a scalar and its weight."""

    value: Tensor
    weight: float = 1.0


Terms = dict[str, Term]


def total(terms: Terms) -> Tensor:
    """The weighted sum of the terms.

    Raises:
        UsageError: there are none.
    """
    if not terms:
        raise UsageError("a phase without loss terms: give at least one term a weight other than 0")
    weighted = [term.value * term.weight for term in terms.values()]
    result = weighted[0]
    for value in weighted[1:]:
        result = result + value
    return result


def read(terms: Terms) -> dict[str, float]:
    """The values of the terms on the host, in one transfer."""
    if not terms:
        return {}
    values = torch.stack([term.value.detach().float() for term in terms.values()]).tolist()
    return dict(zip(terms, values, strict=True))


@dataclass(frozen=True)
class Metric:
    """A number that says how good an output is, with its protocol."""

    name: str
    label: str
    higher_is_better: bool
    protocol: str
    unit: str = ""


@dataclass(frozen=True)
class Evaluated:
    """One held-out example: its metrics, and pictures (C, H, W) in [0, 1] by name (:attr:`Task.picture_names`)."""

    metrics: dict[str, float]
    pictures: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Splits:
    """The data of a run. Training items are dicts of tensors; items are addressed by
    :class:`advtasks.data.loader.Position`."""

    train: Dataset[Batch]
    validation: Sequence[Any]
    notes: tuple[str, ...] = ()
    """What a user should know about the data: skipped files, how pictures were held out."""
    fingerprint: str = ""
    """Changes when the training data do; a resumed run compares it."""


class Task(nn.Module, abc.ABC):
    """One image task. The module's own sub-modules are frozen helpers, such as a perceptual loss: the trainer moves
    them to the device and neither trains nor stores them. The trained network is made by :meth:`generator`.
    """

    shares_fake: ClassVar[bool] = True
    """True where the output for a batch does not depend on fresh noise: one forward pass then serves the
    discriminator phase and the generator phase."""
    terms_of_samples: ClassVar[bool] = False
    """Whether each term of :meth:`objective` is a mean over samples, so that ``--accumulate`` may compute it in
    pieces."""
    metrics: ClassVar[Sequence[Metric]] = ()
    """What :meth:`evaluate` measures."""
    baseline: ClassVar[str | None] = None
    """The name of the method without a network that :meth:`evaluate` measures for ``generator=None``."""
    picture_names: ClassVar[tuple[str, ...]] = ("output",)
    """The pictures that :meth:`evaluate` gives, in the order to show them; ``output`` is the one that differs between
    methods."""
    reference: ClassVar[str | None] = None
    """That of :attr:`picture_names` which the output should equal, where there is one."""
    term_names: ClassVar[frozenset[str]] = frozenset()
    """The names that stages may give weights to."""
    more_usage: str = ""
    """Flags that a model's verb needs besides its :attr:`advtasks.hookspecs.VerbSpec.usage`."""
    latent: ClassVar[str | None] = None
    """The entry of a prepared batch that is the generator's noise, for tasks that have one: :meth:`prepare` draws it,
    so one draw serves all phases, and regularizers such as path length may move it."""

    embedding: ClassVar[str | None] = None
    """The entry of a prepared batch that is the embedding which the generator is conditioned on and critics are shown,
    for tasks that have one: regularizers such as gan-int may move it."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config

    @abc.abstractmethod
    def generator(self) -> nn.Module:
        """A freshly initialised network (or several in one module)."""

    @abc.abstractmethod
    def splits(self, cache: PictureCache) -> Splits:
        """Training and validation data, checked.

        Raises:
            advtasks.errors.DataError: nothing to train on, or pairs that do not fit.
        """

    @abc.abstractmethod
    def examples(self, folder: Path, cache: PictureCache) -> tuple[Sequence[Any], Sequence[str]]:
        """All examples of a folder to evaluate on, and notes for the user.

        Raises:
            advtasks.errors.DataError: there are none, or pairs that do not fit.
        """

    @abc.abstractmethod
    def prepare(self, batch: Batch) -> Batch:
        """The batch as floats in [0, 1], on the device where it already is; the place for device augmentation."""

    @abc.abstractmethod
    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        """The output for a prepared batch, float32 (N, C, H, W) in about [0, 1]."""

    @abc.abstractmethod
    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        """The task's own loss terms: those named in `weights` whose weight is not 0."""

    def views(self) -> dict[str, View]:
        """The views that adversaries judge, by name; each gets a critic of its own."""
        return {"image": View()}

    @abc.abstractmethod
    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        """What each view's critic sees, for the names of :meth:`views`."""

    @abc.abstractmethod
    def evaluate(self, generator: nn.Module | None, example: Any) -> Evaluated:
        """Measure one validation example; ``generator=None`` measures the baseline."""

    @abc.abstractmethod
    def manifest(self) -> dict[str, Any]:
        """What inference must know: the fields of :class:`advtasks.bundle.Manifest` that the task decides
        (``verb``, ``generator``, ``hyper_parameters``, ``task_options``, ``channels``, ``scale``,
        ``receptive_radius``, ``multiple_of``, ``training_data``)."""
