"""The contract between advtasks and its plugins.

A plugin is a module named in the entry-point group ``advtasks``. It defines some of the functions below, marked
with :data:`hookimpl`; each returns frozen *descriptions*. A description imports nothing heavy: code is named as
``"package.module:Name"`` and imported when it is used, so that ``advtasks --help`` never imports torch.

There are no hooks into a training step: a package that is merely installed must never change a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("advtasks")
hookimpl = pluggy.HookimplMarker("advtasks")

API_VERSION = 1
"""Raised when the contract changes in a way that old plugins cannot follow."""


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """An image task that ``advtasks train NAME`` can train."""

    name: str
    """The word on the command line, for example ``sr``."""
    summary: str
    """One line for the help page."""
    config: str
    """``module:Class`` of the configuration, a frozen keyword-only dataclass that extends
    :class:`advtasks.config.RunConfig`. Its module must not import torch."""
    task: str
    """``module:Class`` of the :class:`advtasks.task.Task`."""
    presets: str
    """``module:NAME`` of a mapping from preset name to a configuration object, the first being the default."""
    recognize: str | None = None
    """``module:function`` that takes a folder and returns an :class:`advtasks.data.layout.Layout` or None, or raises a
    DataError that says why there is nothing to train on. ``advtasks data check`` asks it. Its module must not import
    torch."""
    reading: str | None = None
    """``module:Class`` of a frozen keyword-only dataclass: the fields of ``config`` that say how a folder is read, best
    a base of it. They are options of ``advtasks data check --task NAME`` then, and ``recognize`` takes such a record
    as its second argument, which may be left out."""
    needs_data: bool = True
    """Whether it trains on a folder, ``--data``."""
    api_version: int = API_VERSION


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part that is chosen by name: a loss, regularizer, discriminator or generator."""

    name: str
    """Kebab-case, for example ``relativistic-average``."""
    summary: str
    """One line: what it is, and the paper."""
    build: str
    """``module:callable``. Its keyword arguments are the options that users may set by ``name:option=value``."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that this name stands for; they are no options."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Options whose default is another one than the callable's own."""


@dataclass(frozen=True, kw_only=True)
class VerbSpec:
    """A command: ``advtasks NAME ...``."""

    name: str
    summary: str
    usage: str = "PICTURE -o OUT"
    """What it takes besides ``--model``, shown at the end of a training."""
    run: str
    """``module:function`` taking the list of arguments behind the verb and returning an exit code."""


@dataclass(frozen=True, kw_only=True)
class ForeignSpec:
    """Model files that other programs wrote and this plugin can open."""

    name: str
    summary: str
    suffixes: tuple[str, ...]
    """With the dot, in lower case."""
    open: str
    """``module:function`` that takes a path and gives a network and its :class:`advtasks.bundle.Manifest`; it raises
    :class:`advtasks.errors.BundleError` where the file is not what it can open. It must not unpickle freely."""


class HookSpecs:
    """The hooks. Each returns a sequence of descriptions; equal names from two packages are an error."""

    @hookspec
    def advtasks_tasks(self) -> Sequence[TaskSpec]:  # type: ignore[empty-body]
        """Tasks for ``advtasks train``."""

    @hookspec
    def advtasks_verbs(self) -> Sequence[VerbSpec]:  # type: ignore[empty-body]
        """Further commands, such as ``upscale``."""

    @hookspec
    def advtasks_foreign(self) -> Sequence[ForeignSpec]:  # type: ignore[empty-body]
        """Model files of other programs."""

    @hookspec
    def advtasks_generators(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Networks that a bundle can hold: keyword arguments in, ``nn.Module`` out."""

    @hookspec
    def advtasks_discriminators(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Critics: called with ``in_channels`` and their options."""

    @hookspec
    def advtasks_losses(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Adversarial losses: :class:`advtasks.losses.AdversarialLoss` objects."""

    @hookspec
    def advtasks_regularizers(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Regularizers: :class:`advtasks.regularizers.Regularizer` objects."""

    @hookspec
    def advtasks_augments(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """What real and fake samples pass before a critic: :class:`advtasks.augments.Augment` objects."""

    @hookspec
    def advtasks_optimizers(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Optimisers: called with ``params``, ``lr`` and, where they take them, ``betas``."""

    @hookspec
    def advtasks_features(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Frozen feature networks for perceptual losses and metrics."""

    @hookspec
    def advtasks_distances(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Distances of pictures, for losses and metrics: modules with ``name`` and ``protocol`` that take output and
        target (N, 3, H, W) in [0, 1] and give (N,)."""

    @hookspec
    def advtasks_text_encoders(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Frozen text encoders: objects with ``name``, ``width``, ``fingerprint`` and ``encode(texts)``."""

    @hookspec
    def advtasks_trackers(self) -> Sequence[Component]:  # type: ignore[empty-body]
        """Trackers beside ``metrics.jsonl``: called with the run folder."""
