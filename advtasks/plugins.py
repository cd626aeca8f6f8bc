"""Discovery of plugins: each loaded in isolation, conflicts refused, failures reported and survived."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pluggy

from advtasks import hookspecs
from advtasks.errors import AdvtasksError, UsageError, did_you_mean

GROUP = "advtasks"
ENVIRONMENT = "ADVTASKS_PLUGINS"
"""Unset: all plugins are loaded. Otherwise a comma-separated list of entry-point names to load beside ``core``."""

KINDS = (
    "tasks",
    "verbs",
    "foreign",
    "generators",
    "discriminators",
    "losses",
    "regularizers",
    "augments",
    "optimizers",
    "features",
    "distances",
    "text_encoders",
    "trackers",
)

_DESCRIPTIONS = (hookspecs.TaskSpec, hookspecs.VerbSpec, hookspecs.ForeignSpec, hookspecs.Component)


@dataclass(frozen=True)
class Plugin:
    """One entry point: where it comes from, and the module or what went wrong with it."""

    entry: str
    distribution: str
    version: str
    module: ModuleType | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        """``distribution:entry``, the name under which messages speak of it."""
        return f"{self.distribution}:{self.entry}"

    @property
    def way_out(self) -> str:
        """What to do about it, as a sentence."""
        return f"Way out: pip install -U {self.distribution}, or pip uninstall {self.distribution}"


@dataclass(frozen=True)
class Provided:
    """A description together with the plugin that it came from."""

    spec: Any
    plugin: Plugin


class Plugins:
    """All plugins of this environment and what they provide.

    A plugin that fails to import, or whose hook raises, is left out with its cause kept in :attr:`broken`;
    every other one works on.
    """

    def __init__(self, entry_points: Sequence[importlib.metadata.EntryPoint]) -> None:
        self.loaded: list[Plugin] = []
        self.broken: list[Plugin] = []
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs.HookSpecs)
        for point in sorted(entry_points, key=lambda p: (p.dist.name if p.dist else "", p.name)):
            self._load(manager, point)
        self._provided: dict[str, dict[str, Provided]] = {kind: self._collect(manager, kind) for kind in KINDS}

    def _load(self, manager: pluggy.PluginManager, point: importlib.metadata.EntryPoint) -> None:
        distribution, version = _distribution(point)
        described = Plugin(point.name, distribution, version)
        try:
            module = point.load()
            _check_marked(module)
            manager.register(module, name=described.name)
            manager.check_pending()
        except (Exception, SystemExit) as error:  # whatever a foreign package does, the other commands must go on
            manager.unregister(name=described.name)
            self.broken.append(_with_error(described, error))
            return
        self.loaded.append(Plugin(point.name, distribution, version, module))

    def _collect(self, manager: pluggy.PluginManager, kind: str) -> dict[str, Provided]:
        found: dict[str, Provided] = {}
        by_name = {plugin.name: plugin for plugin in self.loaded}
        for implementation in sorted(
            getattr(manager.hook, f"advtasks_{kind}").get_hookimpls(), key=lambda impl: impl.plugin_name
        ):
            plugin = by_name[implementation.plugin_name]
            try:
                specs = list(implementation.function())
                for spec in specs:
                    if not isinstance(spec, _DESCRIPTIONS):
                        raise TypeError(f"advtasks_{kind} must return descriptions of hookspecs, not {spec!r}")
                    version = getattr(spec, "api_version", hookspecs.API_VERSION)
                    if version != hookspecs.API_VERSION:
                        raise AdvtasksError(
                            f"written for plugin API {version}, this is {hookspecs.API_VERSION}: "
                            f"pip install -U advtasks {plugin.distribution}"
                        )
                if twice := [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]:
                    raise ValueError(f"advtasks_{kind} gives {', '.join(twice)} twice")
            except (Exception, SystemExit) as error:  # one hook that raises must not take the others with it
                self.broken.append(_with_error(plugin, error))
                continue
            for spec in specs:
                if spec.name in found:
                    raise AdvtasksError(
                        f"two packages provide {kind} {spec.name!r}: {found[spec.name].plugin.name} and "
                        f"{plugin.name}. Uninstall one, or set {ENVIRONMENT} to the plugins that you want."
                    )
                found[spec.name] = Provided(spec, plugin)
        return found

    def provided(self, kind: str) -> dict[str, Provided]:
        """Everything of a kind (one of :data:`KINDS`), by name."""
        return self._provided[kind]

    def find(self, kind: str, name: str) -> Provided:
        """The description called `name`.

        Raises:
            UsageError: nothing of that name is installed; the message has close names and broken plugins.
        """
        known = self._provided[kind]
        if name in known:
            return known[name]
        message = f"unknown {_singular(kind)} {name!r}: {did_you_mean(name, known)}"
        if self.broken:
            message += "\n" + "\n".join(self.report_broken())
        raise UsageError(message)

    def report_broken(self) -> list[str]:
        """A line for each broken plugin: distribution, version, cause and way out."""
        return [
            f"plugin {plugin.name} {plugin.version} is broken and was left out: {plugin.error}. {plugin.way_out}"
            for plugin in self.broken
        ]


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Name and version of the package that an entry point is of."""
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "?")


def _check_marked(module: Any) -> None:
    """That no hook would be passed over without a word.

    Raises:
        AdvtasksError: a function has the name of a hook and is not marked as one.
    """
    for kind in KINDS:
        hook = getattr(module, f"advtasks_{kind}", None)
        if callable(hook) and not hasattr(hook, f"{GROUP}_impl"):
            raise AdvtasksError(f"advtasks_{kind} is not marked with @advtasks.hookspecs.hookimpl")


def _with_error(plugin: Plugin, error: BaseException) -> Plugin:
    cause = f"{type(error).__name__}: {error}".splitlines()[0]
    return Plugin(plugin.entry, plugin.distribution, plugin.version, error=cause)


def _singular(kind: str) -> str:
    return {"losses": "loss", "features": "feature network", "foreign": "model format"}.get(
        kind, kind.removesuffix("s")
    )


def chosen(points: Sequence[importlib.metadata.EntryPoint], wanted: str) -> list[importlib.metadata.EntryPoint]:
    """The core, and those that a text names between commas: by their entry points, or as messages do,
    ``distribution:entry``.

    Raises:
        UsageError: it names one that is not installed.
    """
    names = {"core", *filter(None, map(str.strip, wanted.split(",")))}
    called = [{point.name, f"{_distribution(point)[0]}:{point.name}"} for point in points]
    if unknown := sorted(names - set[str]().union(*called)):
        known = sorted(point.name for point in points)
        raise UsageError(f"{ENVIRONMENT} names {unknown[0]!r}: {did_you_mean(unknown[0], known)}")
    return [point for point, own in zip(points, called, strict=True) if own & names]


@functools.cache
def plugins() -> Plugins:
    """The plugins of this environment, loaded once. :data:`ENVIRONMENT` narrows them: see :func:`chosen`."""
    points = list(importlib.metadata.entry_points(group=GROUP))
    wanted = os.environ.get(ENVIRONMENT)
    return Plugins(points if wanted is None else chosen(points, wanted))


def resolve(reference: str) -> Any:
    """Import what ``"package.module:Name"`` names."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
