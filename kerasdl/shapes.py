"""The declared shape of a JSON document, and what in it is not so: files come from anywhere."""

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", None: "null"}
_DEEPEST = 50  # levels: what is deeper is not ours, and ends the recursion of whatever walks over it
_LARGEST = 2**63  # a whole number that no library takes


def problem(value: Any, shape: Any, where: str = "", depth: int = 0) -> str | None:
    """Return in words what of a JSON value is not of its declared shape; None where all is.

    Args:
        value: the value.
        shape: a type: `str`, `int | None`, `Literal[...]`, `list[float]`, `dict[str, int]`, a `TypedDict`,
            or `Any`. A `TypedDict` may have further keys.
        where: keys that lead to the value: "data.features".
        depth: levels above it.
    """
    if depth > _DEEPEST:
        return f"{where[:60]}... is nested more than {_DEEPEST} levels deep"
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return f"{where or 'it'} is a number of {len(str(abs(value)))} digits"
    if isinstance(value, str) and not _is_unicode(value):
        return f"{where or 'it'} is no Unicode text"
    if not _fits(value, shape):
        return f"{where or 'it'} is {_short(value)} where {_expected(shape)} is expected"
    if isinstance(value, list):
        inner = _part_of(shape, list) or Any
        parts = [(str(index), part, inner) for index, part in enumerate(value)]
    elif isinstance(value, dict):
        if not all(map(_is_unicode, value)):
            return f"a key of {where or 'it'} is no Unicode text"
        parts = _items(value, shape)
        if missing := sorted(_needed(value, shape) - value.keys()):
            return f"{where + ' ' if where else 'it '}lacks {', '.join(missing)}"
    else:
        return None
    for name, part, kind in parts:
        if found := problem(part, kind, f"{where}.{name}" if where else name, depth + 1):
            return found
    return None


def _is_unicode(text: str) -> bool:
    """Tell whether a text can be written: JSON may hold halves of characters (\\ud800)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(value: Any, shape: Any) -> bool:
    """Tell whether a value is of the outer type of a shape."""
    if shape is Any:
        return True
    if shape in (None, types.NoneType):
        return value is None
    if _is_union(shape):
        return any(_fits(value, part) for part in get_args(shape))
    if get_origin(shape) is Literal:
        return value in get_args(shape)
    if shape in (int, float):
        return isinstance(value, (int, shape)) and not isinstance(value, bool)
    kind = dict if is_typeddict(shape) else get_origin(shape) or shape
    return isinstance(value, kind)


def _part_of(shape: Any, kind: type) -> Any:
    """Return the type of the parts of a list or dict; of a union, of the one that is one."""
    for part in get_args(shape) if _is_union(shape) else (shape,):
        if get_origin(part) is kind:
            return get_args(part)[-1]
    return None


def _typed(value: dict, shape: Any) -> Any:
    """Return the `TypedDict` that a value has to follow; of several in a union the one whose keys it has."""
    kinds = [part for part in (get_args(shape) if _is_union(shape) else (shape,)) if is_typeddict(part)]
    has_keys = [kind for kind in kinds if kind.__required_keys__ <= value.keys()]
    other = _part_of(shape, dict)
    return next(iter(has_keys), None if other is not None or not kinds else kinds[0])


def _needed(value: dict, shape: Any) -> set[str]:
    kind = _typed(value, shape)
    return set() if kind is None else set(kind.__required_keys__)


def _items(value: dict, shape: Any) -> list[tuple[str, Any, Any]]:
    kind = _typed(value, shape)
    if kind is None:
        inner = _part_of(shape, dict) or Any
        return [(name, part, inner) for name, part in value.items()]
    hints = get_type_hints(kind)
    return [(name, part, hints.get(name, Any)) for name, part in value.items()]


def _is_union(shape: Any) -> bool:
    return get_origin(shape) in (Union, types.UnionType)


def _expected(shape: Any) -> str:
    if _is_union(shape):
        return " or ".join(dict.fromkeys(map(_expected, get_args(shape))))
    if get_origin(shape) is Literal:
        return f"one of {', '.join(map(str, get_args(shape)))}"
    if (get_origin(shape) or shape) is list:
        return "a list"
    return _NAMES.get(None if shape is types.NoneType else shape, "an object")


def _short(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", type(None): "null"}
    text = kinds.get(type(value)) or ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
