"""Recipes as JSON: the public names of classes, with their fields.

A class of a user's recipe file is found again in the copy of that file beside the JSON.
"""

import dataclasses
import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasdl import public
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Config, Recipe, python_file
from kerasdl.recipe.python_file import recipe_file


def to_json(recipe: Recipe) -> str:
    """Return a recipe as JSON text, defaults included."""
    return json.dumps(encode(recipe), indent=2) + "\n"


def from_json(text: str, folder: Path | None = None) -> Recipe:
    """Read a recipe that `to_json` wrote.

    Args:
        text: the JSON document.
        folder: folder of `recipe.py`, for classes that the recipe's own file defines. That file is run: give
            only folders of your own.

    Raises:
        UsageError: when the text is not a recipe, or names a class or field that does not exist.
    """
    try:
        recipe = decode(json.loads(text), folder)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"This is not a recipe: {error}. Give a recipe.json that a run wrote.") from error
    if not isinstance(recipe, Recipe):
        raise UsageError("This JSON file is not a recipe. Give a recipe.json that a run wrote.")
    return recipe


def encode(value: Any) -> Any:
    """Convert a recipe or a part of one to JSON values: names of classes and all their fields."""
    if isinstance(value, Config):
        return {"type": _type_name(value.target), "fields": encode(value.values)}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"type": _type_name(type(value)), "fields": encode(fields)}
    if isinstance(value, dict):
        return {name: encode(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(part) for part in value]
    return value


def leaves(encoded: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in a JSON document with their path: ("model.dropout", 0.2).

    The name of a class stands at the path of the part itself. Lists are values. Fields that a document of an
    earlier version lacks have their defaults.
    """
    if isinstance(encoded, Mapping) and encoded.keys() == {"type", "fields"}:
        yield name, public.current_name(encoded["type"])
        encoded = {**defaults(public.current_name(encoded["type"])), **encoded["fields"]}
    if isinstance(encoded, Mapping) and encoded:
        for key, part in encoded.items():
            yield from leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, encoded


def defaults(type_name: str) -> dict[str, Any]:
    """Return the defaults of a data source, task or augmentation of kerasdl, as JSON values."""
    name = type_name.removeprefix("kerasdl>")
    if not public.PLACES.get(name, "").startswith(("kerasdl.data.", "kerasdl.tasks.")):
        return {}
    fields = dataclasses.fields(public.find(name))
    return {field.name: encode(field.default) for field in fields if field.default is not dataclasses.MISSING}


def decode(value: Any, folder: Path | None = None) -> Any:
    """Convert JSON values that `encode` returned back to an equal recipe or part."""
    if isinstance(value, list):
        return tuple(decode(part, folder) for part in value)
    if not isinstance(value, dict):
        return value
    if value.keys() != {"type", "fields"}:
        return {name: decode(part, folder) for name, part in value.items()}
    target = _find_type(value["type"], folder)
    fields = decode(value["fields"], folder)
    if not dataclasses.is_dataclass(target):
        return Config(target, **fields)
    known = [field.name for field in dataclasses.fields(target)]
    for name in fields:
        if name not in known:
            raise UsageError(f"{value['type']} has no field {name!r}." + did_you_mean(name, known))
    try:
        return target(**fields)
    except TypeError as error:
        raise UsageError(f"The recipe's {value['type']} is not complete: {error}.") from error


def _type_name(target: type) -> str:
    """Return `kerasdl>Class`, `recipe.py:Class` for a class of a recipe file, otherwise `module.Class`."""
    if recipe_file(target) is not None:
        return f"recipe.py:{target.__qualname__}"
    public_name = public.name_of(target)
    return f"{target.__module__}.{target.__qualname__}" if public_name is None else f"kerasdl>{public_name}"


def _find_type(name: str, folder: Path | None) -> type:
    package, _, public_name = name.partition(">")
    if not public_name and name.startswith("kerasdl."):
        # Written before names were public: by the module in which the class was then.
        package, public_name = "kerasdl", name.rpartition(".")[2]
    if package == "kerasdl" and public_name:
        found = public.find(public_name) if public_name in public.PLACES else None
        if not isinstance(found, type):
            raise UsageError(
                f"The recipe names the type {name!r}, which kerasdl does not have."
                + did_you_mean(public_name, public.PLACES)
            )
        return found
    if name.startswith("recipe.py:"):
        if folder is None:
            raise UsageError(f"The type {name!r} is defined in a recipe.py that is not beside this file.")
        module_name, attribute = "recipe.py", name.partition(":")[2]
        module = python_file.load(folder / "recipe.py")
    else:
        module_name, _, attribute = name.rpartition(".")
        try:
            module = importlib.import_module(module_name)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"The recipe names the type {name!r}, which cannot be found: {error}."
            ) from error
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        raise UsageError(f"The recipe names the type {name!r}, but {module_name} has no {attribute}.")
    return found
