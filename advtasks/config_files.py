"""Configurations as YAML: read, checked, laid over each other, written. Imports no torch."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from advtasks.causes import said
from advtasks.config import Options
from advtasks.errors import UsageError, did_you_mean


def to_plain(config: Any) -> Any:
    """Dataclasses, tuples and paths as what YAML and JSON can hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: to_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, dict):
        return {key: to_plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def dotted(values: Any, place: str = "") -> dict[str, Any]:
    """Every value of nested mappings, and of lists with mappings, by its dotted name: ``stages.1.learning_rate``."""
    if isinstance(values, dict):
        items: Iterable[tuple[Any, Any]] = values.items()
    elif isinstance(values, list) and any(isinstance(value, dict) for value in values):
        items = enumerate(values)
    else:
        return {place: values}
    below = (dotted(value, f"{place}.{key}" if place else str(key)) for key, value in items)
    return {name: value for part in below for name, value in part.items()}


Config = typing.TypeVar("Config", bound=Options)


def from_plain(kind: type[Config], values: dict[str, Any], source: str) -> Config:
    """A validated configuration.

    Raises:
        UsageError: unknown fields, or values of the wrong type or out of bounds; the message names `source` and the
            field.
    """
    from pydantic import TypeAdapter, ValidationError  # 0.1 s: only where a file is read

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"])
            hint = item["msg"]
            if item["type"] == "unexpected_keyword_argument":
                hint = "unknown field; " + did_you_mean(str(item["loc"][-1]), _fields_at(kind, item["loc"][:-1]))
            elif item["type"] == "tuple_type":
                hint = f"a list is needed, found {item['input']!r}"
            elif item["type"].startswith("dataclass"):
                hint = f"fields with values are needed, found {item['input']!r}"
            elif item["type"] != "missing":
                hint += f", found {item['input']!r}"
            lines.append(f"{source}: {place}: {hint}")
        raise UsageError("\n".join(lines)) from None
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None


def _fields_at(kind: Any, place: tuple[int | str, ...]) -> list[str]:
    """The field names of the dataclass at `place` within `kind`."""
    for part in place:
        if isinstance(part, str) and dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind)[part]
        elif isinstance(part, int):
            kind = typing.get_args(kind)[0]
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` laid over it: mappings field by field, everything else replaced."""
    if isinstance(base, dict) and isinstance(changes, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in changes.items()}}
    return changes


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping.

    Raises:
        UsageError: the file is missing, not YAML, or not a mapping.
    """
    import yaml

    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _loader())
    except OSError as error:
        raise UsageError(f"{path}: {said(error)}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that there is not
        raise UsageError(f"{path}: not YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected fields with values, found {type(values).__name__}")
    return values


def _loader() -> type[Any]:
    """YAML's safe loader, which would take the last of two values of a field without a word."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            names = [key.value for key in keys]
            for number, key in enumerate(keys):
                if key.value in names[:number]:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            return super().construct_mapping(node, deep)

    return Loader


def to_yaml(values: dict[str, Any]) -> str:
    """YAML text, in the order of the fields."""
    import yaml

    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
