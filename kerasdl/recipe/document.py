"""Recipes as JSON: the public names of classes, with their fields.

A class of a user's recipe file is found again in the copy of that file beside the JSON, if that is trusted.
Nothing else is imported because a JSON file names it.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasdl import public, shapes
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Config, Recipe, python_file
from kerasdl.recipe.values import check_value, is_typed

_RECIPE_FILE = "recipe.py"
#: Classes of installed packages that this process has written into a recipe, or that a trusted one names.
_written: dict[str, type] = {}


def to_json(recipe: Recipe) -> str:
    """Return a recipe as JSON text, defaults included."""
    return json.dumps(encode(recipe), indent=2) + "\n"


def from_json(text: str, folder: Path | None = None, *, own: bool = False) -> Recipe:
    """Read a recipe that `to_json` wrote.

    Args:
        text: the JSON document.
        folder: folder of `recipe.py`, for classes that the recipe's own file defines.
        own: whether this command made the text, so that its wish to use the network counts.

    Raises:
        UsageError: when the text is not a recipe, names a class or field that does not exist, or needs a
            `recipe.py` that is not trusted.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"This is not a recipe: {error}. Give a recipe.json that a run wrote.") from error
    if found := shapes.problem(document, dict):
        raise UsageError(f"This is not a recipe: {found}. Give a recipe.json that a run wrote.")
    recipe = decode(document, folder, own=own)
    if not isinstance(recipe, Recipe):
        raise UsageError("This JSON file is not a recipe. Give a recipe.json that a run wrote.")
    return recipe


def from_file(path: Path) -> Recipe:
    """Read the recipe in a JSON file, with the classes of the `recipe.py` beside it.

    Raises:
        UsageError: as `from_json` does.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a recipe: {error}. Give a recipe.json that a run wrote.") from error
    return from_json(text, folder=path.parent)


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
    if _is_encoded(encoded):
        yield name, public.current_name(encoded["type"])
        encoded = {**defaults(public.current_name(encoded["type"])), **encoded["fields"]}
    if isinstance(encoded, Mapping) and encoded:
        for key, part in encoded.items():
            yield from leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, encoded


def defaults(type_name: str) -> dict[str, Any]:
    """Return the defaults of a recipe, data source, task or augmentation of kerasdl, as JSON values."""
    name = type_name.removeprefix("kerasdl>")
    if not public.PLACES.get(name, "").startswith(("kerasdl.data.", "kerasdl.recipe", "kerasdl.tasks.")):
        return {}
    fields = dataclasses.fields(public.find(name))
    return {field.name: encode(field.default) for field in fields if field.default is not dataclasses.MISSING}


def decode(value: Any, folder: Path | None = None, *, own: bool = False) -> Any:
    """Convert JSON values that `encode` returned back to an equal recipe or part.

    Fields that permit something, such as a download, keep their default unless `own`: only who types a
    command may permit it.
    """
    if isinstance(value, list):
        return tuple(decode(part, folder, own=own) for part in value)
    if not isinstance(value, dict):
        return value
    if "class_name" in value:
        raise UsageError("The recipe holds a value that Keras would build an object of. Give plain values.")
    if value.keys() != {"type", "fields"}:
        return {name: decode(part, folder, own=own) for name, part in value.items()}
    if not _is_encoded(value):
        raise UsageError(
            "The recipe has a part whose type is not a text, or whose fields are not an object. Give a "
            "recipe.json that a run wrote."
        )
    target = _find_type(value["type"], folder)
    fields = decode(value["fields"], folder, own=own)
    if not dataclasses.is_dataclass(target):
        return Config(target, **fields)
    known = [field.name for field in dataclasses.fields(target)]
    for name in fields:
        if name not in known:
            raise UsageError(f"{value['type']} has no field {name!r}." + did_you_mean(name, known))
    for field in dataclasses.fields(target):
        if field.name in fields and is_typed(field.type):
            check_value(f"{value['type']}: {field.name}", fields[field.name], field.type)
    if not own:
        fields |= _unpermitted(target, fields)
    try:
        return target(**fields)
    except UsageError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"The recipe's {value['type']} is not complete: {error}.") from error


def _is_encoded(value: Any) -> bool:
    """Tell whether a JSON value is what `encode` returns for an object."""
    return (
        isinstance(value, Mapping)
        and value.keys() == {"type", "fields"}
        and isinstance(value["type"], str)
        and isinstance(value["fields"], Mapping)
    )


class Unpermitted(str):
    """A value of a file, such as `imagenet`, that permits the network only where a user types it."""


def _unpermitted(target: type, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that would permit something, as values that do not."""
    permits = {field.name: field.metadata.get("permits") for field in dataclasses.fields(target)}
    asked = {name: value for name, value in fields.items() if value and value == permits.get(name)}
    return {name: False if value is True else Unpermitted(value) for name, value in asked.items()}


def _type_name(target: type) -> str:
    """Return `kerasdl>Class`, `recipe.py:Class` for a class of a recipe file, otherwise `module.Class`."""
    if python_file.files_of(target) is not None:
        return f"{_RECIPE_FILE}:{python_file.name_in(target)}"
    public_name = public.name_of(target)
    if public_name is not None:
        return f"kerasdl>{public_name}"
    name = f"{target.__module__}.{target.__qualname__}"
    _written[name] = target
    return name


def _find_type(name: str, folder: Path | None) -> type:
    """Return the class of a name that `_type_name` gave, or an earlier version; import no other module."""
    if not isinstance(name, str):
        raise UsageError(f"The recipe names the type {name!r}, but a type is a text.")
    name = public.current_name(name)
    if name.startswith(("kerasdl>", "kerasdl.")):
        return _public_type(name)
    if not name.startswith(f"{_RECIPE_FILE}:"):
        return _installed_type(name, folder)
    if folder is None:
        raise UsageError(f"The type {name!r} is defined in a recipe.py that is not beside this file.")
    own_name = name.partition(":")[2]
    found = python_file.find(python_file.load_received(folder / _RECIPE_FILE), own_name)
    if not isinstance(found, type):
        raise UsageError(f"The recipe names the type {name!r}, but {_RECIPE_FILE} has no {own_name}.")
    return found


def _public_type(name: str) -> type:
    last = name.removeprefix("kerasdl").strip(">.").rpartition(".")[2]
    found = public.find(last) if last in public.PLACES else None
    if not isinstance(found, type):
        raise UsageError(
            f"The recipe names the type {name!r}, which kerasdl does not have."
            + did_you_mean(last, public.PLACES)
        )
    return found


def _installed_type(name: str, folder: Path | None) -> type:
    """Return a class of an installed package that is in use already: a name in a file imports nothing.

    It is one that the RECIPE of the file beside the JSON uses, or a layer or a part of a recipe in a module
    of the user's that is imported.
    """
    if name not in _written and folder is not None and (folder / _RECIPE_FILE).is_file():
        recipe = getattr(python_file.load_received(folder / _RECIPE_FILE), "RECIPE", None)
        if isinstance(recipe, Recipe):
            encode(recipe)
    module, _, last = name.rpartition(".")
    found = getattr(sys.modules.get(module), last, None)
    if name not in _written and not (isinstance(found, type) and _is_part(found)):
        raise UsageError(
            f"The recipe names the type {name!r}, which is neither kerasdl's nor its recipe file's. No other "
            "module is imported because a file names it: where it is yours, import it in Python, and open "
            "the file with kerasdl.load or kerasdl.resume."
        )
    return _written.get(name, found)


def _is_part(kind: type) -> bool:
    """Tell whether a class from outside Keras and TensorFlow inherits a layer or a class of kerasdl."""
    packages = {base.__module__.partition(".")[0] for base in kind.__mro__}
    is_layer = any((base.__name__, base.__module__[:6]) == ("Layer", "keras.") for base in kind.__mro__)
    own = kind.__module__.partition(".")[0] not in ("keras", "tensorflow")
    return own and (is_layer or "kerasdl" in packages)
