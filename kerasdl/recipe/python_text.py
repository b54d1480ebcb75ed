"""A recipe as the text of a Python file, for people to read and change."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from kerasdl import public
from kerasdl.recipe.config import Config
from kerasdl.recipe.recipe import Recipe

_WIDTH = 100
#: Fields of a recipe that are written with their default value too: people change them first.
_SHOWN = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule")

_FILE = '''"""{docstring}"""

from kerasdl import {imports}

RECIPE = {recipe}

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
'''


def write(recipe: Recipe, docstring: str) -> str:
    """Return the text of a recipe file; fields that have their default are left out, but for the usual ones.

    Args:
        recipe: its classes have public names.
        docstring: what the file says of itself, without quotes.
    """
    names = sorted({*_classes(recipe), *(["Config"] if _has_config(recipe) else [])}, key=str.lower)
    imports = ", ".join(names)
    if len(imports) > _WIDTH - 20:
        imports = "(\n    " + ",\n    ".join(names) + ",\n)"
    docstring = docstring.replace("\\", "\\\\").replace('"""', "'''")
    return _FILE.format(docstring=docstring, imports=imports, recipe=_expression(recipe, ""))


def _has_config(value: Any) -> bool:
    return any(isinstance(part, Config) for part in _parts(value))


def _classes(value: Any) -> Iterator[str]:
    for part in _parts(value):
        name = public.name_of(part.target if isinstance(part, Config) else type(part))
        assert name is not None, f"{part!r} has no public name"
        yield name


def _parts(value: Any) -> Iterator[Any]:
    """Yield the objects of kerasdl that a value is made of, itself first."""
    if isinstance(value, Config):
        yield value
        inner = list(value.arguments.values())
    elif dataclasses.is_dataclass(value):
        yield value
        inner = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        inner = []
    for part in inner:
        yield from _parts(part)


def _expression(value: Any, indent: str) -> str:
    """Return a value as Python, in one line where that is short enough."""
    if isinstance(value, Config):
        name, first, fields = "Config", [value.target.__name__], dict(value.arguments)
    elif dataclasses.is_dataclass(value):
        name, first = type(value).__name__, []
        fields = {
            field.name: given
            for field in dataclasses.fields(value)
            if (given := getattr(value, field.name)) != field.default
            or (field.name in _SHOWN and isinstance(value, Recipe))
        }
    else:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    parts = first + [f"{field}={_expression(given, indent + '    ')}" for field, given in fields.items()]
    line = f"{name}({', '.join(parts)})"
    if len(indent) + len(line) <= _WIDTH and "\n" not in line and not isinstance(value, Recipe):
        return line
    inner = "".join(f"{indent}    {part},\n" for part in parts)
    return f"{name}(\n{inner}{indent})"
