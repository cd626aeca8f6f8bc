"""Components by name, with options: ``r1``, ``r1:gamma=10:interval=16``, ``least-squares:a=-1``.

The same grammar chooses a loss, a regularizer, a discriminator, a generator or a feature network, on the command
line, in YAML and in Python.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advtasks.causes import is_out_of_memory
from advtasks.errors import AdvtasksError, UsageError, did_you_mean
from advtasks.plugins import Provided, plugins, resolve

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class Choice:
    """A name and its options as text."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Choice:
    """Read ``name[:option=value]...``.

    Raises:
        UsageError: a part behind the name is not ``option=value``.
    """
    name, *parts = text.strip().split(":")
    options: dict[str, str] = {}
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals or not option:
            raise UsageError(f"{text!r}: expected NAME:option=value, found {part!r}")
        options[option.strip().replace("-", "_")] = value.strip()
    return Choice(name, options)


@functools.cache
def _signature(reference: str) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Parameters and evaluated annotations of what `reference` builds."""
    target = resolve(reference)
    parameters = dict(inspect.signature(target).parameters)
    source = target.__init__ if inspect.isclass(target) else target
    try:
        annotations = inspect.get_annotations(source, eval_str=True)
    except NameError:  # a name that is imported for type checking only
        annotations = {}
    return parameters, annotations


def arguments(kind: str, text: str, **given: Any) -> dict[str, Any]:
    """All keyword arguments that `text` stands for, defaults included, converted to the types of the callable.

    Raises:
        UsageError: unknown name or option, or a value of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError  # 0.1 s: only when components are built

    choice = parse(text)
    found = plugins().find(kind, choice.name)
    parameters, annotations = _signature(found.spec.build)
    _check(found, choice.name, parameters)
    free = [name for name in parameters if name not in given and name not in found.spec.fixed]
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    values: dict[str, Any] = {
        **defaults,
        **found.spec.defaults,
        **found.spec.fixed,
        **{k: v for k, v in given.items() if k in parameters},
    }
    for option, value in choice.options.items():
        if option not in free:
            raise UsageError(f"{choice.name!r} has no option {option!r}: {did_you_mean(option, free)}")
        try:
            values[option] = _converted(TypeAdapter(annotations.get(option, _type_of(values.get(option)))), value)
        except ValidationError as error:
            raise UsageError(f"{choice.name}:{option}={value}: {error.errors()[0]['msg']}") from None
    return values


def build_each(kind: str, given: Sequence[Any] | str) -> list[Any]:
    """Objects as they are, names built; of one text the names between commas.

    Raises:
        UsageError: see :func:`arguments`.
    """
    items = [name for name in given.split(",") if name.strip()] if isinstance(given, str) else given
    return [build(kind, item) if isinstance(item, str) else item for item in items]


def _type_of(default: Any) -> Any:
    """Of an option without an annotation."""
    return type(default) if isinstance(default, (bool, int, float, str)) else Any


def _check(found: Provided, name: str, parameters: Mapping[str, inspect.Parameter]) -> None:
    """That a plugin describes what is there.

    Raises:
        AdvtasksError: a default or fixed argument that the callable does not take.
    """
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    if wrong := [option for option in (*found.spec.defaults, *found.spec.fixed) if option not in parameters]:
        plugin = found.plugin
        raise AdvtasksError(
            f"{name!r} of the plugin {plugin.name} {plugin.version} sets {', '.join(wrong)}, which {found.spec.build} "
            f"does not take. {plugin.way_out}"
        )


def _converted(adapter: TypeAdapter[Any], value: str) -> Any:
    """The value in the option's type; ``none`` is None where the option may be."""
    from pydantic import ValidationError

    if value == "none":
        with contextlib.suppress(ValidationError):
            return adapter.validate_python(None)
    return adapter.validate_python(value)


def build(kind: str, text: str, **given: Any) -> Any:
    """Build the component that `text` names. `given` are arguments that the caller decides; those which the
    callable does not take are dropped.

    Raises:
        UsageError: see :func:`arguments`.
    """
    values, choice = arguments(kind, text, **given), parse(text)
    make = resolve(plugins().find(kind, choice.name).spec.build)
    try:
        return make(**values)
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        if not choice.options or is_out_of_memory(error):
            raise
        raise UsageError(f"{text}: nothing can be made with these options ({error})") from error


def provided(kind: str) -> dict[str, Provided]:
    """All components of a kind, by name."""
    return plugins().provided(kind)
