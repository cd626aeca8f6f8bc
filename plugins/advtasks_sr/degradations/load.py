"""From the value of ``degradation`` to a recipe: a preset's name, a YAML file, or the recipe itself as JSON."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from advtasks.config_files import from_plain, read_yaml, to_plain
from advtasks.errors import UsageError, did_you_mean
from advtasks_sr.degradations.recipe import Recipe

_FOLDER = Path(__file__).parent
PRESETS = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""Names of the recipes that the package ships."""
BICUBIC = "bicubic"
"""The value that stands for no degradation beyond MATLAB's bicubic downscaling."""


def load_recipe(value: str) -> Recipe | None:
    """The recipe that `value` names; None for bicubic.

    Args:
        value: ``bicubic``, a name of :data:`PRESETS`, a path that ends in ``.yaml`` or ``.yml``, or a recipe as
            :func:`to_json` writes it, which is how a bundle carries one whose file is elsewhere.

    Raises:
        UsageError: there is none of that name, or the file has unknown fields or values; it names file and field.
    """
    if value == BICUBIC:
        return None
    if value.startswith("{"):
        try:
            return from_plain(Recipe, json.loads(value), "degradation")
        except json.JSONDecodeError as error:
            raise UsageError(f"degradation: not JSON: {error}") from None
    if value in PRESETS:
        path = _FOLDER / f"{value}.yaml"
    elif value.lower().endswith((".yaml", ".yml")):
        path = Path(value)
    else:
        hint = did_you_mean(value, (BICUBIC, *PRESETS))
        raise UsageError(f"degradation: no recipe {value!r}, and it is no path to a .yaml file; {hint}")
    return from_plain(Recipe, read_yaml(path), str(path))


def to_json(recipe: Recipe) -> str:
    """The recipe as one line that :func:`load_recipe` reads."""
    return json.dumps(to_plain(recipe), separators=(",", ":"))


def digest(recipe: Recipe) -> str:
    """Eight characters that change when any value of the recipe does."""
    return hashlib.blake2b(to_json(recipe).encode(), digest_size=4).hexdigest()
