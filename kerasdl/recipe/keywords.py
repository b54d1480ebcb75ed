"""Fields of a recipe as keywords, those of its network and its other parts too, as flags have them."""

import dataclasses
import numbers
import os
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe.config import Config, parameters, type_of
from kerasdl.recipe.recipe import Recipe, replace
from kerasdl.recipe.values import check_value, is_typed

_PARTS = ("model", "preprocessing", "augmentation", "data", "task")


class _Unset:
    def __repr__(self) -> str:
        return "<as in the recipe>"


#: The default of a keyword that leaves a field as the recipe has it; None is a value.
UNSET: Any = _Unset()


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that were given."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def apply(recipe: Recipe, fields: Mapping[str, Any], others: Iterable[str] = ()) -> Recipe:
    """Return a recipe with fields changed, its own or those of its network, data and other parts.

    Args:
        recipe: the recipe.
        fields: values by name. A whole part that is among them is changed by the others.
        others: further keywords of the function that was called, to propose for a mistyped one.

    Raises:
        UsageError: for a name that no part has or several have, and for a value of another type.
    """
    own = {field.name: field.type for field in dataclasses.fields(Recipe)}
    changes = {name: _plain(value, own[name]) for name, value in fields.items() if name in own}
    parts = {part: changes.get(part, getattr(recipe, part)) for part in _PARTS}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        if name not in own:
            part, kind = _part_with(name, parts, [*own, *others])
            value = _plain(value, kind)
            if is_typed(kind):
                check_value(name, value, kind)
            nested.setdefault(part, {})[name] = value
    for part, values in nested.items():
        is_config = isinstance(parts[part], Config)
        changes[part] = (
            parts[part].replace(**values) if is_config else dataclasses.replace(parts[part], **values)
        )
    return replace(recipe, **changes)


def _part_with(name: str, parts: Mapping[str, Any], others: Iterable[str]) -> tuple[str, Any]:
    """Return the one part that has a field, and the type of that."""
    kinds = {part: _fields(value) for part, value in parts.items()}
    found = [part for part, fields in kinds.items() if name in fields]
    if len(found) == 1:
        return found[0], kinds[found[0]][name]
    if found:
        named = " and ".join(f"its {part} ({type_of(parts[part]).__name__})" for part in found)
        raise UsageError(
            f"{name} is a field of {named} of the recipe. Say which: load the recipe with "
            f"kerasdl.load_recipe, and give {found[0]}=... as a whole."
        )
    known = [*others, *(field for fields in kinds.values() for field in fields)]
    raise UsageError(
        f"There is no {name!r}: neither the recipe nor its {type_of(parts['model']).__name__}, "
        f"{type_of(parts['data']).__name__} or {type_of(parts['task']).__name__} has such a field."
        + did_you_mean(name, known)
    )


def _fields(part: Any) -> dict[str, Any]:
    """Return the names and types of the fields of a part of a recipe."""
    if isinstance(part, Config):
        return {name: parameter.annotation for name, parameter in parameters(part.target).items()}
    if not dataclasses.is_dataclass(part):
        return {}
    return {field.name: field.type for field in dataclasses.fields(part) if field.init}


def _plain(value: Any, kind: Any) -> Any:
    """Return a value as a recipe stores it: NumPy's numbers, lists and paths as Python's own."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, int):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, list) and any(get_origin(one) is tuple for one in (kind, *get_args(kind))):
        return tuple(value)
    return value
