"""``advtasks plugins [NAME]``: what is installed, what it provides, what is broken. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass

import tyro

from advtasks.errors import UsageError, did_you_mean
from advtasks.plugins import KINDS, Plugin, plugins


@dataclass(frozen=True, kw_only=True)
class ListPlugins:
    """List plugins with everything they provide; broken ones with cause and way out."""

    name: tyro.conf.Positional[str | None] = None
    """Only this plugin (entry point or distribution:entry)."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """As JSON."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code: 1 if a plugin is broken."""
    options = tyro.cli(ListPlugins, prog="advtasks plugins", args=argv)
    found = plugins()
    names = [name for plugin in (*found.loaded, *found.broken) for name in (plugin.entry, plugin.name)]
    if options.name is not None and options.name not in names:
        raise UsageError(f"no plugin {options.name!r}: {did_you_mean(options.name, names)}")
    shown = [p for p in found.loaded if _named(p, options.name)]
    broken = [p for p in found.broken if _named(p, options.name)]
    if options.json:
        values: list[dict[str, object]] = [
            {"name": p.name, "version": p.version, "provides": _provides(p)} for p in shown
        ]
        values += [{"name": p.name, "version": p.version, "error": p.error} for p in broken]
        print(json.dumps(values, indent=2))
        return 1 if broken else 0
    for plugin in shown:
        print(f"{plugin.name} {plugin.version}")
        for kind, items in _provides(plugin).items():
            print(f"  {kind}")
            for name, summary in items.items():
                print(f"    {name:<36} {summary}")
    for line in found.report_broken() if broken else ():
        print(line)
    return 1 if broken else 0


def _named(plugin: Plugin, name: str | None) -> bool:
    return name is None or name in (plugin.entry, plugin.name)


def _provides(plugin: Plugin) -> dict[str, dict[str, str]]:
    found = plugins()
    by_kind = {
        kind: {
            name: item.spec.summary for name, item in found.provided(kind).items() if item.plugin.name == plugin.name
        }
        for kind in KINDS
    }
    return {kind: items for kind, items in by_kind.items() if items}
