"""A configuration that means the same from any folder: a run is found again from wherever it is resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

_PLACES = ("data", "validation", "cache", "initial_weights")


def from_anywhere(config: Any) -> Any:
    """The same configuration, with the files that its options name by absolute paths, those of components included
    (``lpips:trunk=FILE:heads=FILE``)."""
    places = {name: path.absolute() for name in _PLACES if (path := getattr(config, name)) is not None}
    return _absolute(dataclasses.replace(config, **places))


def _absolute(value: Any) -> Any:
    if isinstance(value, str):
        return _choice(value)
    if isinstance(value, Path):
        return value.absolute() if value.exists() else value  # it may be meant below --data
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        new = {name: _absolute(item) for name, item in old.items()}
        return dataclasses.replace(value, **new) if new != old else value
    return value


def _choice(text: str) -> str:
    """``NAME:option=value``, each value that is a file or folder as its absolute path."""
    name, *parts = text.split(":")
    for number, part in enumerate(parts):
        option, equals, value = part.partition("=")
        is_there = bool(equals and value) and ("/" in value or "." in value) and Path(value).exists()
        if is_there and ":" not in (place := str(Path(value).absolute())):  # the grammar cannot say a colon
            parts[number] = f"{option}={place}"
    return ":".join((name, *parts))
